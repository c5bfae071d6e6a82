"""What a run costs, with Perdure and with its peers."""

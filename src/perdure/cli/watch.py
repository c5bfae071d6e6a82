"""`perdure watch`: follow a run until it ends."""

from perdure.cli.asking import lines_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.following import follow_run
from perdure.cli.lines import Change, headline
from perdure.cli.options import Address, AsJson, Namespace, Profile, RunId, Verbose, Where
from perdure.cli.output import clean, err, out, write_json
from perdure.cli.session import open_client


def command(
    run: RunId,
    *,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Follow a run until it ends; with --json one line of JSON per change.

    Goes on while the run waits for a person, and through restarts of worker and server.
    """
    where = Where(address=address, namespace=namespace, profile=profile)

    def tell(change: Change) -> None:
        if as_json:
            write_json(change.data, line=True)
        elif change.text:
            out(change.text)

    async def work() -> int:
        client = await open_client(where, verbose=verbose)
        run_id = await client.find(run)
        if not as_json:
            for question in (await client.questions(run_id)).questions:
                for row in lines_of(question):
                    err(row)
        line = await follow_run(client, run_id, tell=tell, say=err)
        if not as_json:
            out(headline(line))
        if line.failure is not None:
            err(clean(line.failure.words()))
            return Code.RUN_FAILED
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)

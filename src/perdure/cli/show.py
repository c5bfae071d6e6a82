"""`perdure show`: the time line of one run."""

import json

from perdure.cli.asking import lines_of
from perdure.cli.exit import Code, carry_out
from perdure.cli.lines import TITLES, clock, headline, rows, totals
from perdure.cli.options import Address, AsJson, Namespace, Profile, RunId, Verbose, Where
from perdure.cli.output import clean, one_line, out, write_json, write_table
from perdure.cli.session import open_client
from perdure.client import Inbox, Timeline

_LONGEST = 4000


def command(
    run: RunId,
    *,
    address: Address = None,
    namespace: Namespace = None,
    profile: Profile = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show what a run did: each call, question and decision, and how it ended.

    Read from the run's history; needs no worker.
    """
    where = Where(address=address, namespace=namespace, profile=profile)

    async def work() -> int:
        client = await open_client(where, verbose=verbose)
        line = await client.timeline(await client.find(run))
        open_now = line.status == "waiting"
        inbox = await client.questions(line.run_id) if open_now else Inbox()
        if as_json:
            asked = [question.to_json() for question in inbox.questions]
            write_json({**line.to_json(), "open_questions": [*asked]})
        else:
            _print(line, inbox)
        return Code.DONE

    carry_out(work(), as_json=as_json, verbose=verbose)


def _print(line: Timeline, inbox: Inbox) -> None:
    out(headline(line))
    if line.started is not None:
        out(f"started {clock(line.started)}")
    if line.thread is not None:
        out(f"thread  {clean(line.thread)}")
    if line.forked_from is None:
        out(f"input   {one_line(json.dumps(line.input, ensure_ascii=False), 400)}")
    else:
        out(f"begins  {_origin(line)}")
    if not line.whole:
        out("earlier executions of the run are not shown: the server has dropped them")
    out("")
    if line.entries:
        write_table(TITLES, rows(line))
        out("")
    several = len(inbox.questions) > 1
    for question in inbox.questions:
        for row in lines_of(question, several=several):
            out(row)
        out("")
    if line.failure is not None:
        out(f"{line.status}: {clean(line.failure.words())}")
    elif line.closed is not None:
        out(f"result  {clean(json.dumps(line.result, ensure_ascii=False))[:_LONGEST]}")
    out(totals(line))


def _origin(line: Timeline) -> str:
    """Say where a fork or a rewound run begins."""
    step = "" if line.from_step is None else f" after step {line.from_step}"
    if line.forked_from == line.run_id:
        return f"again{step}: it was rewound"
    return f"as a fork of {clean(str(line.forked_from))}{step}"

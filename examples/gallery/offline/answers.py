"""What the offline model answers: rules for the prompts of the gallery, one after the other.

It is NOT an LLM. The same prompt always gets the same answer.
"""

import ast
import re
from collections.abc import Callable

from .prompt import Call, Prompt, names_in, numbers_in

Answer = str | list[Call]
Rows = list[tuple[object, ...]]
LOST = (
    "I am the gallery's offline model: a few rules, not an LLM. I know the examples of the README."
)

# react ------------------------------------------------------------------------------------------


def weather(prompt: Prompt) -> Answer:
    """Ask for every city at once, then for the difference."""
    cities, found = names_in(prompt.last), prompt.results_of("temperature")
    if not cities:
        return "Ask me about the weather in a city, such as Oslo."
    if not found:
        return [Call(name="temperature", args={"city": city}) for city in cities]
    known = {city: float(text) for city, text in zip(cities, found, strict=True) if _number(text)}
    if len(known) < len(cities):
        return "I have no station in " + ", ".join(c for c in cities if c not in known) + "."
    warm, cold = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
    if warm == cold:
        return f"It is {known[warm]:g} degrees in {warm}."
    difference = prompt.results_of("subtract")
    if not difference:
        return [Call(name="subtract", args={"a": known[warm], "b": known[cold]})]
    return f"It is {float(difference[-1]):g} degrees warmer in {warm} than in {cold}."


# supervisor -------------------------------------------------------------------------------------

_REPORT = re.compile(r"(researcher|mathematician): (.*)", re.DOTALL)


def route(prompt: Prompt) -> Answer:
    """Let the researcher work first, then the mathematician."""
    reports = _reports(prompt)
    if "researcher" not in reports:
        return [Call(name="Route", args={"next": "researcher"})]
    left = "mathematician" not in reports and "together" in _question(prompt)
    return [Call(name="Route", args={"next": "mathematician" if left else "FINISH"})]


def research(prompt: Prompt) -> Answer:
    """Look every country up at once."""
    countries, found = names_in(_question(prompt)), prompt.results_of("population")
    if not found and countries:
        return [Call(name="population", args={"country": country}) for country in countries]
    pairs = zip(countries, found, strict=False)
    return ", ".join(f"{country}: {number} million" for country, number in pairs) or LOST


def calculate(prompt: Prompt) -> Answer:
    """Add what the researcher reported."""
    sums = prompt.results_of("add")
    if not sums:
        numbers = numbers_in(_reports(prompt).get("researcher", ""))
        return [Call(name="add", args={"numbers": numbers})]
    return f"Together that is {sums[-1]} million people."


def _question(prompt: Prompt) -> str:
    return next((text for text in reversed(prompt.said) if not _REPORT.match(text)), "")


def _reports(prompt: Prompt) -> dict[str, str]:
    """Return what was reported since the question, by who did."""
    start = max(number for number, text in enumerate(prompt.said) if not _REPORT.match(text))
    found = (_REPORT.match(text) for text in prompt.said[start:])
    return {match[1]: match[2] for match in found if match}


# swarm ------------------------------------------------------------------------------------------

_NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}


def book_flight(prompt: Prompt) -> Answer:
    """Book the flight; hand over if a hotel is wanted too."""
    if "flight" in prompt.last and not prompt.results_of("book_flight"):
        day = re.search(r"on ([\w ]+?)(?:[,.?!]| and|$)", prompt.last)
        args = {"city": _city(prompt), "day": day[1] if day else "any day"}
        return [Call(name="book_flight", args=args)]
    if _wants_hotel(prompt) and not prompt.results_of("book_hotel"):
        return [Call(name="transfer_to_hotels", args={})]
    return _booked(prompt)


def book_hotel(prompt: Prompt) -> Answer:
    """Book the hotel; hand over if a flight is wanted too."""
    if _wants_hotel(prompt) and not prompt.results_of("book_hotel"):
        found = re.search(r"(\w+) (?:more )?nights?", prompt.last)
        word = found[1] if found else "one"
        nights = int(word) if word.isdigit() else _NUMBERS.get(word, 1)
        return [Call(name="book_hotel", args={"city": _city(prompt), "nights": nights})]
    if "flight" in prompt.last and not prompt.results_of("book_flight"):
        return [Call(name="transfer_to_flights", args={})]
    return _booked(prompt)


def _wants_hotel(prompt: Prompt) -> bool:
    return bool(re.search(r"hotel|nights?\b", prompt.last))


def _city(prompt: Prompt) -> str:
    found = re.findall(r"\b(?:to|in) ([A-Z]\w+)", " ".join(prompt.said))
    return found[-1] if found else "Lima"


def _booked(prompt: Prompt) -> str:
    done = [result.text for result in prompt.results if result.tool.startswith("book_")]
    return f"Done: {', '.join(done)}." if done else "Shall I book a flight or a hotel for you?"


# plan_and_execute -------------------------------------------------------------------------------


def make_plan(prompt: Prompt) -> Answer:
    """Look each building up, then compare."""
    buildings = names_in(prompt.last.partition("task: ")[2])
    steps = [f"Find the height of the {name}" for name in buildings]
    steps += ["Subtract the smaller height from the larger one"] if len(buildings) > 1 else []
    return [Call(name="Plan", args={"steps": steps})]


def do_step(prompt: Prompt) -> Answer:
    """Call the tool that the step is about, then tell what it said."""
    if prompt.results:
        return f"{float(prompt.results[-1].text):g} m" if _number(prompt.results[-1].text) else LOST
    before, _, step = prompt.last.partition("Now do this step: ")
    if step.startswith("Find the height of the "):
        return [
            Call(name="height", args={"building": step.removeprefix("Find the height of the ")})
        ]
    heights = sorted(numbers_in(before))
    return [Call(name="difference", args={"a": heights[-1], "b": heights[0]})]


def plan_again(prompt: Prompt) -> Answer:
    """Cross the first step out; answer after the last one."""
    listed = re.search(r"^Plan: (.*)$", prompt.last, re.MULTILINE)
    left: list[str] = ast.literal_eval(listed[1])[1:] if listed else []
    if left:
        return [Call(name="Replan", args={"steps": left})]
    found = re.findall(r"^- Find the height of the (.*): (.*) m$", prompt.last, re.MULTILINE)
    tallest = max(found, key=lambda one: float(one[1]), default=("building", "0"))
    by = re.search(r"^- Subtract.*: (.*)$", prompt.last, re.MULTILINE)
    answer = f"The {tallest[0]} is taller, by {by[1]}." if by else f"It is {tallest[1]} m high."
    return [Call(name="Replan", args={"steps": [], "answer": answer})]


# map_reduce -------------------------------------------------------------------------------------

_ENDS = ("It wanted to see the other slide.", "Nobody had told it about bridges.", "It was Monday.")


def find_subjects(prompt: Prompt) -> Answer:
    """Split any topic up into three."""
    topic = prompt.last.partition("have to do with: ")[2]
    subjects = [f"{topic} {where}" for where in ("at work", "on holiday", "before coffee")]
    return [Call(name="Subjects", args={"subjects": subjects})]


def tell_joke(prompt: Prompt) -> Answer:
    """Tell the joke that belongs to the subject."""
    subject = prompt.last.removeprefix("Tell a joke of one sentence about ").rstrip(".")
    return f"Why did {subject} cross the road? {_ENDS[sum(subject.encode()) % len(_ENDS)]}"


def pick_best(prompt: Prompt) -> Answer:
    """Take the longest one for the best one."""
    jokes = prompt.last.splitlines()[1:]
    return [Call(name="Best", args={"number": jokes.index(max(jokes, key=len)) + 1})]


# reflection -------------------------------------------------------------------------------------


def write_text(prompt: Prompt) -> Answer:
    """Write something empty first, and with a number in it once the editor asks for one."""
    topic = prompt.last.splitlines()[0].removeprefix("Write two sentences about ").rstrip(".")
    first = f"Much has been said about {topic}."
    if "advice:" in prompt.last:
        return f"{first} Here are 2 of those sentences."
    return f"{first} More will be said."


def review_text(prompt: Prompt) -> Answer:
    """Be content with a text that has a number in it."""
    if numbers_in(prompt.last.partition("\n")[2]):
        return [Call(name="Review", args={"grade": "good"})]
    return [Call(name="Review", args={"grade": "not yet", "advice": "Name a number."})]


# rag --------------------------------------------------------------------------------------------

_WORDS = {"baby": "parental leave", "ill": "sick leave", "laptop": "equipment"}
_SMALL = frozenset({
    "how", "many", "much", "do", "does", "i", "get", "to", "of", "the", "a", "an", "when", "my",
    "is", "are", "what", "for", "in",
})  # fmt: skip


def search(prompt: Prompt) -> Answer:
    """Search with the words of the question."""
    words = [word for word in re.findall(r"\w+", prompt.last.lower()) if word not in _SMALL]
    return [Call(name="search_handbook", args={"query": " ".join(words)})] if words else LOST


def grade_pages(prompt: Prompt) -> Answer:
    """Look whether the pages have the word that the handbook has for it."""
    question, _, pages = prompt.last.partition("\n\n")
    good = _topic(question) in pages.lower() and pages != "nothing found"
    return [Call(name="Grade", args={"relevant": good})]


def rewrite(prompt: Prompt) -> Answer:
    """Ask with the handbook's own word."""
    return f"What are the rules of {_topic(prompt.last) or 'this'}?"


def answer_from_pages(prompt: Prompt) -> Answer:
    """Say the sentence that shares the most words with the question."""
    question, _, pages = prompt.last.partition(": ")[2].partition("\n\n")
    asked = set(re.findall(r"\w+", f"{question} {_topic(question)}".lower())) - _SMALL
    sentences = re.findall(r"[A-Z][^.#\n]*\.", pages)

    def shared(sentence: str) -> int:
        return len(asked & set(re.findall(r"\w+", sentence.lower())))

    return max(sentences, key=shared, default="The handbook does not say.")


def _topic(question: str) -> str:
    words = re.findall(r"\w+", question.lower())
    return next((_WORDS[word] for word in words if word in _WORDS), "")


# sql_agent --------------------------------------------------------------------------------------

_SPENT = (
    "SELECT customers.name, SUM(orders.amount) AS spent FROM orders "
    "JOIN customers ON customers.id = orders.customer GROUP BY customers.id ORDER BY spent"
)


def choose_tables(prompt: Prompt) -> Answer:
    """Look at every table."""
    tables = prompt.results_of("sql_tables")[-1].split(", ")
    return [Call(name="sql_schema", args={"table": table}) for table in tables]


def write_query(prompt: Prompt) -> Answer:
    """Write a query, with a mistake in it; or tell what the last one brought."""
    found = prompt.results_of("sql_query")
    if found:
        rows: Rows = ast.literal_eval(found[-1]) if found[-1].startswith("[") else []
        told = ", ".join(" ".join(str(value) for value in row) for row in rows)
        return f"The database says: {told}." if told else found[-1]
    if "spent" in prompt.last:
        return [Call(name="sql_query", args={"query": f"{_SPENT} ASC LIMIT 1"})]
    tables = prompt.results_of("sql_tables")[-1].split(", ")
    table = next((one for one in tables if one.rstrip("s") in prompt.last), tables[0])
    query = f"SELECT COUNT(*) FROM {table}"  # noqa: S608 (the model writes it, the tool only reads)
    return [Call(name="sql_query", args={"query": query})]


def check_query(prompt: Prompt) -> Answer:
    """Mend the mistake: the most comes first when it goes down."""
    args = ast.literal_eval(prompt.last.partition("call the tool: ")[2])
    return [Call(name="sql_query", args={"query": args["query"].replace(" ASC ", " DESC ")})]


# memory -----------------------------------------------------------------------------------------


def find_facts(prompt: Prompt) -> Answer:
    """Take every sentence in which somebody speaks of himself."""
    told = prompt.last.partition(" in: ")[2]
    facts = re.findall(r"\b(?:I (?:am|like|love|live|work)|[Mm]y \w+ is)\b[^.!?]*(?=[.!]|$)", told)
    return [Call(name="Facts", args={"facts": facts})]


def talk(prompt: Prompt) -> Answer:
    """Tell what the store knows, or what was said before in the conversation."""
    known = ast.literal_eval(prompt.system.partition("You know of the user: ")[2])
    if re.search(r"know (?:about|of) me", prompt.last):
        return f"You told me: {'; '.join(known)}." if known else "Nothing yet. Tell me!"
    if "say first" in prompt.last:
        return f"You said: {prompt.said[0]}"
    return f"I see. Known of you so far: {len(known)}."


# human_review -----------------------------------------------------------------------------------


def reply(prompt: Prompt) -> Answer:
    """Be sorry."""
    complaint = prompt.last.partition("two sentences: ")[2].rstrip(".!")
    return f'We are sorry to read: "{complaint}". A new one is on its way to you.'


# ------------------------------------------------------------------------------------------------

Rule = Callable[[Prompt], Answer]
_FORCED: dict[str, Rule] = {
    "Route": route, "Plan": make_plan, "Replan": plan_again, "Subjects": find_subjects,
    "Best": pick_best, "Review": review_text, "Grade": grade_pages, "Facts": find_facts,
    "sql_schema": choose_tables, "sql_query": check_query,
}  # fmt: skip
_SYSTEM: dict[str, Rule] = {
    "You are a weather service": weather, "You are a researcher": research,
    "You are a mathematician": calculate, "You book flights": book_flight,
    "You book hotels": book_hotel, "You do one step": do_step,
    "You write queries for SQLite": write_query, "You are a helpful friend": talk,
}  # fmt: skip
_START: dict[str, Rule] = {
    "Tell a joke of one sentence": tell_joke, "Write two sentences": write_text,
    "Put this question in the words": rewrite, "Answer from these pages only": answer_from_pages,
    "Reply to this complaint": reply,
}  # fmt: skip


def answer(prompt: Prompt) -> Answer:
    """Answer a prompt by the rule that knows it."""
    if prompt.forced in _FORCED:
        return _FORCED[prompt.forced](prompt)
    rules = [rule for start, rule in _SYSTEM.items() if prompt.system.startswith(start)]
    rules += [rule for start, rule in _START.items() if prompt.last.startswith(start)]
    if "search_handbook" in prompt.tools:
        rules.append(search)
    return rules[0](prompt) if rules else LOST


def _number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?", text) is not None

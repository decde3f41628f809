"""Expressions that the page of conditions shows, by what they are about, each with a word on what to know.

Holds: every function and operator that the engine offers is in one of them; what each comes to, the engine says.
"""

from typing import Final, NamedTuple


class CelExample(NamedTuple):
    """An expression, and what to know of it."""

    text: str
    note: str = ""


class CelTopic(NamedTuple):
    """Expressions of one kind."""

    title: str
    about: str
    examples: tuple[CelExample, ...]


class CelRefusal(NamedTuple):
    """A condition that is refused, and what to write in its place; empty where nothing says the same."""

    text: str
    instead: str


_E: Final = CelExample
TOPICS: Final = (
    CelTopic(
        "Comparisons and logic",
        "Values of different types are never equal. Numbers are compared by their value.",
        (
            _E("subject.id == resource.properties.owner", "Own records only."),
            _E("action.properties.format != 'pdf'"),
            _E("context.count > 100 && context.count <= 1000"),
            _E("context.count < 10 || context.count >= 200"),
            _E("!(context.count > 100)"),
            _E("context.count > 100 ? 'many' : 'few'"),
            _E("resource.properties.region in ['eu', 'uk']", "In a list."),
            _E("'count' in context", "Whether an object has this name."),
            _E("context.count == 250.0"),
            _E("context.count == '250'"),
        ),
    ),
    CelTopic(
        "Numbers",
        "A number of the call without a decimal point is an integer. Arithmetic needs two numbers of one type.",
        (
            _E("context.count + 1"),
            _E("context.count - 1"),
            _E("context.count * 2"),
            _E("context.count / 100", "Integers are cut off."),
            _E("context.count % 100"),
            _E("-context.count"),
            _E("double(context.count) + 0.5"),
            _E("int('7')"),
            _E("uint(7) == 7u"),
        ),
    ),
    CelTopic(
        "Texts",
        "Lengths and positions count characters. `matches` looks for the pattern (RE2) anywhere in the text: write `^` \
and `$` for the whole.",
        (
            _E("context.note.startsWith('INC-')"),
            _E("context.note.endsWith('urgent')"),
            _E("context.note.contains('urgent')"),
            _E("context.note.matches('^INC-[0-9]+ .*$')"),
            _E("context.note.size()"),
            _E("context.note.indexOf('-')", "-1 if it is not there."),
            _E("context.note.lastIndexOf('u')"),
            _E("context.note.substring(0, 5)"),
            _E("context.note.charAt(0)"),
            _E("action.name.split('.')[0]"),
            _E("context.fields.join(', ')"),
            _E("context.note.replace('urgent', 'later')"),
            _E("' a '.trim()"),
            _E("'CSV'.lowerAscii()"),
            _E("'csv'.upperAscii()"),
            _E("'abc'.reverse()"),
            _E("'%s of %d'.format([resource.type, 42])"),
            _E("strings.quote('a')"),
            _E("string(context.count)"),
            _E("bytes('abc') == b'abc'"),
            _E("bool('true')"),
        ),
    ),
    CelTopic(
        "Lists and objects",
        "`all`, `exists` and `exists_one` answer true or false. `map` and `filter` make lists, and cost more for it.",
        (
            _E("context.fields.all(f, f in ['name', 'mail'])"),
            _E("context.fields.exists(f, f == 'iban')"),
            _E("context.fields.exists_one(f, f == 'iban')"),
            _E("context.fields.filter(f, f != 'iban')"),
            _E("context.fields.map(f, f.size())"),
            _E("context.lines.all(l, l.price < 100)"),
            _E("size(context.fields)"),
            _E("context.fields[0]"),
            _E("context['fields']", "For names that are not identifiers."),
            _E("cel.bind(n, context.note.size(), n > 3 && n < 100)", "Evaluates once, and gives it a name."),
            _E("type(context.count) == int"),
            _E("dyn(context.count) == 250"),
        ),
    ),
    CelTopic(
        "What may be absent",
        "A member that the call does not have is no value. To read it makes the condition unknown, except in these \
ways. `.?` and `[?]` read a member that may be absent; the result is an optional value.",
        (
            _E("has(context.reason)"),
            _E("context.?reason.orValue('none')"),
            _E("context.?count.orValue(0)"),
            _E("context.?reason.hasValue()"),
            _E("context.fields[?5].orValue('none')"),
            _E("context[?'x-tenant'].orValue('none')"),
            _E("context.?order.?address.?country.orValue('none')"),
            _E("context.?reason.or(context.?note).orValue('')"),
            _E("context.?note.value()"),
            _E("context.?count.optMap(c, c * 2).orValue(0)"),
            _E("context.?lines.optFlatMap(l, l[?0].?kind).orValue('')"),
            _E("optional.of(context.count).hasValue()"),
            _E("optional.ofNonZeroValue('').hasValue()"),
            _E("optional.none().hasValue()"),
        ),
    ),
    CelTopic(
        "Times",
        "`now` is the time of the decision. A time in the call is a text: make it a time with `timestamp()`. Without a \
time zone, parts of a time are those of UTC. With one, they follow its clock, summer time included.",
        (
            _E("now.getHours()"),
            _E("now.getHours('Europe/Berlin')", "A name of the IANA database."),
            _E("now.getHours('+02:00')", "A fixed offset, without summer time."),
            _E("now.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5]", "0 is Sunday, so this is Monday to Friday."),
            _E("now.getDate()", "The day of the month, from 1."),
            _E("now.getDayOfMonth()", "The same from 0."),
            _E("now.getMonth()", "From 0: March is 2."),
            _E("now.getFullYear()"),
            _E("now.getDayOfYear()", "From 0."),
            _E("now.getMinutes()"),
            _E("now.getSeconds()"),
            _E("now.getMilliseconds()"),
            _E("now < timestamp('2027-03-31T00:00:00Z')"),
            _E("now - timestamp(context.at)"),
            _E("now - timestamp(context.at) < duration('72h')"),
            _E("(now - timestamp(context.at)).getHours()", "The whole of it in hours."),
        ),
    ),
)

UNKNOWN: Final = (
    CelExample("context.reason == 'audit'", "The member is absent."),
    CelExample("context.?reason.orValue('') == 'audit'", "With a default it is known."),
    CelExample("has(context.reason) && context.reason == 'audit'", "So it is after `has`."),
    CelExample("context.reason == 'audit' || context.count > 100", "One side that is true is enough for `||`."),
    CelExample("context.reason == 'audit' && context.count > 999", "One side that is false is enough for `&&`."),
    CelExample("context.fields[7] == 'iban'", "There is no such element."),
    CelExample("context.note > 5", "A text is no number."),
    CelExample("context.count + 1.0 > 2.0", "An integer and a double: write `double(context.count)`."),
    CelExample("context.count / 0 == 1"),
    CelExample("int(context.note) == 7", "The text is no number."),
    CelExample("context.at < now", "A text is no time: write `timestamp(context.at)`."),
)
"""Conditions that are unknown for the call, and what makes them known."""

REFUSED: Final = (
    CelRefusal("context.count = 250", "context.count == 250"),
    CelRefusal("subject == 'carol'", "subject.id == 'carol'"),
    CelRefusal("subjct.id == 'carol'", "subject.id == 'carol'"),
    CelRefusal("context.urgent", "context.urgent == true"),
    CelRefusal("now < '2027-03-31T00:00:00Z'", "now < timestamp('2027-03-31T00:00:00Z')"),
    CelRefusal("now.getHours('Europe/Berln') < 8", "now.getHours('Europe/Berlin') < 8"),
    CelRefusal("now.getHours(context.zone) < 8", "now.getHours('Europe/Berlin') < 8"),
    CelRefusal("context.note.matches(context.pattern)", "context.note.matches('^INC-[0-9]+')"),
    CelRefusal("context.template.format([context.note]) == 'a: b'", "'a: %s'.format([context.note]) == 'a: b'"),
)
"""Conditions that do not compile."""

COSTLY: Final = (
    CelRefusal(
        "context.a.filter(x, context.b.filter(y, y == x).size() > 0).size() > 0", "context.a.exists(x, x in context.b)"
    ),
    CelRefusal(
        "context.a.exists(x, context.b.exists(y, context.c.exists(z, x == y && y == z)))",
        "context.a.exists(x, x in context.b && x in context.c)",
    ),
)
"""Conditions that could take too long, and what says the same for less."""

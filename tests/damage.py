"""Odd content for what holds mappings and lists in each other: a JSON file, a checkpoint."""

import copy

import torch


def places(content, path=()):
    """Yield the way to each value in nested mappings and lists, the outermost apart."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, value in inside:
        yield (*path, name)
        yield from places(value, (*path, name))


WRONG = [
    None,
    "text",
    7,
    0.5,
    True,
    [],
    {},
    [1, 2],
    {"a": 1},
    torch.zeros(3),
    torch.zeros(2, 10, dtype=torch.int64),
    -1,
]


def other_content(content, chance):
    """Put a value of another kind in the place of one, take one away, add one."""
    content = copy.deepcopy(content)
    *way, name = chance.choice(list(places(content)))
    inside = content
    for step in way:
        inside = inside[step]
    act = chance.choice(["replace", "remove", "add"])
    if act == "replace":
        is_number = isinstance(inside[name], float) or "lr" in f"{way[-1:]}{name}"
        alike = (int, float) if is_number else (type(inside[name]),)
        wrong = [odd for odd in WRONG if type(odd) not in (*alike, type(inside[name]))]
        inside[name] = chance.choice(wrong)
    elif act == "remove":
        del inside[name]
    elif isinstance(inside, list):
        inside.append(chance.choice(WRONG))
    else:
        inside[chance.choice(["unknown", 99])] = chance.choice(WRONG)
    return content, ".".join(map(str, (*way, name)))


def decides_nothing(place):
    """Whether a part of a checkpoint may be odd: it is not used, or torch itself fills in what is missing."""
    return place.startswith(("config.", "updated", "optimizer.param_groups.0."))

"""From the course's old form of a Function, `forward(ctx, ...)`, to the new one, `forward` and `setup_context`."""

import ast


def as_new_form(source):
    """Rewrite the text of a Function.

    Raises:
        ValueError: what is put on ctx is neither an input nor the output, so that setup_context does not have it.
    """
    tree = ast.parse(source)
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    place, forward = next(
        (i, of) for i, of in enumerate(body) if isinstance(of, ast.FunctionDef) and of.name == "forward"
    )
    inputs = [argument.arg for argument in forward.args.args[1:]]
    about_ctx = [of for of in forward.body if "ctx" in names_in(of)]
    forward.args.args = forward.args.args[1:]
    forward.body = [of for of in forward.body if of not in about_ctx]
    result = forward.body[-1].value
    output = [result.id] if isinstance(result, ast.Name) else []
    made = {name for of in forward.body for name in assigned_in(of)} - set(output)
    used = set().union(*map(names_in, about_ctx)) if about_ctx else set()
    if used & made:
        raise ValueError(f"setup_context does not have {', '.join(sorted(used & made))}")
    lines = ["@staticmethod", "def setup_context(ctx, inputs, output):", f"    {', '.join(inputs)}, = inputs"]
    lines += [f"    {name} = output" for name in output] + [f"    {ast.unparse(of)}" for of in about_ctx]
    body.insert(place + 1, ast.parse("\n".join(lines)).body[0])
    return ast.unparse(tree)


def names_in(tree):
    return {of.id for of in ast.walk(tree) if isinstance(of, ast.Name)}


def assigned_in(tree):
    return {of.id for of in ast.walk(tree) if isinstance(of, ast.Name) and isinstance(of.ctx, ast.Store)}

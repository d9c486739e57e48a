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
        (i, node) for i, node in enumerate(body) if isinstance(node, ast.FunctionDef) and node.name == "forward"
    )
    inputs = [argument.arg for argument in forward.args.args[1:]]
    about_ctx = [line for line in forward.body if "ctx" in names_in(line)]
    forward.args.args = forward.args.args[1:]
    forward.body = [line for line in forward.body if line not in about_ctx]
    result = forward.body[-1].value
    output = [result.id] if isinstance(result, ast.Name) else []
    results = {name for line in forward.body for name in assigned_in(line)} - set(output)
    used = set().union(*map(names_in, about_ctx)) if about_ctx else set()
    if used & results:
        raise ValueError(f"setup_context does not have {', '.join(sorted(used & results))}")
    lines = ["@staticmethod", "def setup_context(ctx, inputs, output):", f"    {', '.join(inputs)}, = inputs"]
    lines += [f"    {name} = output" for name in output] + [f"    {ast.unparse(each)}" for each in about_ctx]
    body.insert(place + 1, ast.parse("\n".join(lines)).body[0])
    return ast.unparse(tree)


def names_in(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def assigned_in(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}

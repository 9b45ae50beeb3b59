"""Gradients on the way back: dL/d of what the taps of forward_taps.py see, by transformers' modules and torch's autograd.

Names, in addition to those of forward_taps.py (`.out` is left away: a gradient is always that of a cell's output):

    embedded, L{l}.residual_in, L{last}.residual_out, hidden, logits
    L{l}.attn.q ... L{l}.mlp.down                   output with bias, before norm, clip and rope
    L{l}.mlp.{up,gate,down}[{e}]                    rows: the tokens routed to expert e, in token order; down's output before
                                                    the routing weight, so that its gradient holds that weight as a factor
    L{l}.router.logits                              [T, E], what the router's linear map gives, before softmax and top-k

Every output that is watched is replaced by a copy of itself, and the gradient is taken of the original: what a module does to
its values in place (olmoe's clip) comes after the copy.
"""

import torch
from torch.overrides import TorchFunctionMode

from forward_taps import FUSED, MODULES, blocks, final_norm, tensor_of


class EverythingDouble(TorchFunctionMode):
    """Where transformers asks for float32 (norms, softmax, angles, routing), float64; for a model loaded in float64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.float:
            return args[0].double()
        double = lambda a: torch.float64 if a is torch.float32 else a
        return func(*map(double, args), **{key: double(a) for key, a in (kwargs or {}).items()})


class LinearMaps(TorchFunctionMode):
    """Hands every linear map computed while it is active to `each(output)`, and goes on with what that returns."""

    def __init__(self, each):
        super().__init__()
        self.each = each

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return self.each(out) if func is torch.nn.functional.linear else out


def attention_of(block):
    return next(getattr(block, n) for n in ("self_attn", "attn", "attention") if hasattr(block, n))


def head_counts(config):
    heads = config.num_attention_heads
    return heads, getattr(config, "num_key_value_heads", None) or heads


def fused_part(attention, component, rows):
    """The rows of q, k or v among those of a fused map: `rows` has them in its first dimension. A view where it can be one."""
    heads, kv = head_counts(attention.config)
    at = ("q", "k", "v").index(component)
    if type(attention).__name__ == "GPTNeoXAttention":
        # [q k v] of head 0, then of head 1, and so on.
        return rows.unflatten(0, (heads, 3, -1))[:, at]
    width = rows.shape[0] // (heads + 2 * kv)
    return rows.split([heads * width, kv * width, kv * width])[at]


def cell_rows(model, layer, component, expert=None, of=lambda parameter: parameter):
    """`of(parameter)` of the parameter that holds a cell, cut and turned to [out, in] (for gpt_neox [heads, head width, in]); None without one."""
    block = blocks(model)[layer]
    parts = dict(block.named_modules())
    if expert is not None:
        experts = parts["mlp.experts"]
        if component == "mlp.down":
            return of(experts.down_proj)[expert]
        return of(experts.gate_up_proj)[expert].chunk(2)[component == "mlp.up"]
    turned = lambda module: of(module.weight).T if type(module).__name__ == "Conv1D" else of(module.weight)
    name = next((n for n in MODULES[component] if n in parts), None)
    if name is not None:
        return turned(parts[name])
    if component in ("mlp.gate", "mlp.up"):
        return turned(parts["mlp.gate_up_proj"]).chunk(2)[component == "mlp.up"] if "mlp.gate_up_proj" in parts else None
    fused = next(parts[n] for n in FUSED if n in parts)
    return fused_part(attention_of(block), component.split(".")[1], turned(fused))


class Gradients:
    """Hooks on one model; `run(tokens, loss_of, cells)` gives the loss, the gradients and the weight gradients of `cells`."""

    def __init__(self, model):
        self.model = model
        self.kept = {}
        self.finish = {}
        self.hooks = []
        self.moved = None
        self.of_parameters = ()
        stack = blocks(model)
        for layer, block in enumerate(stack):
            self.watch_block(layer, block)
        self.watch(stack[-1], {f"L{len(stack) - 1}.residual_out": lambda g: g})
        self.watch(final_norm(model), {"hidden": lambda g: g})

    def close(self):
        for hook in self.hooks:
            hook.remove()

    def keep(self, tensor, parts):
        """Remembers a tensor of the graph and what its gradient is cut into; returns the copy to go on with."""
        key = next(iter(parts))
        assert key not in self.kept, key
        self.kept[key], self.finish[key] = tensor, parts
        return tensor.clone()

    def watch(self, module, parts):
        def hook(module, args, output):
            copy = self.keep(tensor_of(output), parts)
            return (copy, *output[1:]) if isinstance(output, tuple) else copy

        self.hooks.append(module.register_forward_hook(hook))

    def watch_block(self, layer, block):
        at = f"L{layer}"
        parts = dict(block.named_modules())

        def entering(module, args, kwargs):
            x = args[0] if args else kwargs["hidden_states"]
            if layer == 0 and self.moved is not None:
                x = x + self.moved
            x = self.keep(x, {f"{at}.residual_in": lambda g: g})
            return ((x, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": x})

        self.hooks.append(block.register_forward_pre_hook(entering, with_kwargs=True))
        for component, names in MODULES.items():
            module = next((parts[n] for n in names if n in parts), None)
            if module is not None:
                self.watch(module, {f"{at}.{component}": lambda g: g})
        if "mlp.gate_up_proj" in parts:
            self.watch(parts["mlp.gate_up_proj"], {
                f"{at}.{c}": lambda g, h=h: g.chunk(2, -1)[h] for h, c in enumerate(("mlp.gate", "mlp.up"))})
        fused = next((parts[n] for n in FUSED if n in parts), None)
        if fused is not None:
            attention = attention_of(block)
            cut = lambda g, c: fused_part(attention, c, g.squeeze(0).T).flatten(0, -2).T
            self.watch(fused, {f"{at}.attn.{c}": lambda g, c=c: cut(g, c) for c in ("q", "k", "v")})
        if "mlp.experts" in parts:
            self.watch_router(at, parts["mlp"].gate)
            self.watch_experts(at, parts["mlp.experts"])

    def during(self, module, each):
        """`each(args)` gives the function that sees the linear maps of one forward pass of `module`."""
        modes = []

        def enter(module, args):
            modes.append(LinearMaps(each(args)))
            modes[-1].__enter__()

        def leave(module, args, output):
            modes.pop().__exit__(None, None, None)

        self.hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def watch_router(self, at, gate):
        self.during(gate, lambda args: lambda out: self.keep(out, {f"{at}.router.logits": lambda g: g}))

    def watch_experts(self, at, experts):
        """The loop over experts runs two linear maps for each one that is hit, in ascending order: gate and up, then down."""

        def each(args):
            chosen = args[1]
            todo = []
            for e in chosen.unique().tolist():
                # The loop takes the tokens by place among the chosen first: back to token order.
                order = torch.where((chosen == e).T)[1].argsort()
                todo.append({f"{at}.mlp.{c}[{e}]": lambda g, o=order, h=h: g[o].chunk(2, -1)[h] for h, c in enumerate(("gate", "up"))})
                todo.append({f"{at}.mlp.down[{e}]": lambda g, o=order: g[o]})
            todo.reverse()
            return lambda out: self.keep(out, todo.pop())

        self.during(experts, each)

    def loss(self, tokens, loss_of, moved=None):
        """The loss alone, with `moved` added to the residual entering layer 0."""
        self.kept, self.finish, self.moved = {}, {}, moved
        logits = self.model(input_ids=tokens.unsqueeze(0), use_cache=False).logits
        logits = self.keep(logits, {"logits": lambda g: g})
        self.moved = None
        return loss_of(logits.squeeze(0).double())

    def run(self, tokens, loss_of, cells=()):
        """`(loss, {name: gradient}, {name: weight gradient [out, in]})`; `cells`: (name, layer, component, expert).

        With cells, `of_parameters` holds the gradient of every parameter afterwards, None where the loss does not see it.
        """
        loss = self.loss(tokens, loss_of)
        parameters = list(self.model.parameters()) if cells else []
        found = torch.autograd.grad(loss, [*self.kept.values(), *parameters], allow_unused=bool(cells))
        out = {}
        for (key, parts), gradient in zip(self.finish.items(), found):
            for name, cut in parts.items():
                piece = cut(gradient)
                out[name] = (piece.squeeze(0) if piece.dim() == 3 else piece).clone().contiguous()
        out["embedded"] = out["L0.residual_in"].clone()
        self.of_parameters = found[len(self.kept):]
        by_parameter = dict(zip(map(id, parameters), self.of_parameters))
        weights = {}
        for name, layer, component, expert in cells:
            rows = cell_rows(self.model, layer, component, expert, of=lambda p: by_parameter[id(p)])
            weights[name] = rows.flatten(0, -2).clone().contiguous()
        self.kept, self.finish = {}, {}
        return loss.item(), out, weights

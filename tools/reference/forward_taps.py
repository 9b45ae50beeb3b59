"""What a transformers model computes on the way: hooks on its own modules, nothing recomputed.

Names of taps (a trailing `.{s}` is the number of the sequence, added by the caller):

    embedded, hidden, logits                        residual entering layer 0; after the final norm; [T, D], [T, D], [T, V]
    L{l}.residual_in, L{l}.residual_out             [T, D]
    L{l}.attention_add, L{l}.mlp_add                what is added to the residual, after post-norm and multiplier; [T, D]
    L{l}.attn.in                                    input of q, k and v
    L{l}.attn.{q,k,v}.out                           the linear map's output with its bias; before norm, clip and rope
    L{l}.attn.o.in, L{l}.attn.o.out
    L{l}.mlp.in                                     input of up and gate (and of the router)
    L{l}.mlp.{up,gate}.out, L{l}.mlp.down.in, L{l}.mlp.down.out
    L{l}.router                                     routing weights [T, E], zero where an expert is not chosen
    L{l}.mlp.{up,gate,down}[{e}].out, ...down[{e}].in   rows: the tokens routed to expert e, in token order, without the
                                                    routing weight; absent when no token chose it
"""

import torch

MODULES = {
    "attn.q": ("self_attn.q_proj",), "attn.k": ("self_attn.k_proj",), "attn.v": ("self_attn.v_proj",),
    "attn.o": ("self_attn.o_proj", "attention.dense", "attn.c_proj"),
    "mlp.gate": ("mlp.gate_proj",),
    "mlp.up": ("mlp.up_proj", "mlp.c_fc", "mlp.dense_h_to_4h"),
    "mlp.down": ("mlp.down_proj", "mlp.c_proj", "mlp.dense_4h_to_h"),
}
FUSED = ("self_attn.qkv_proj", "attn.c_attn", "attention.query_key_value")


def decoder(model):
    """The stack of blocks with its final norm, whatever is around it."""
    base = model.base_model
    return getattr(base, "language_model", base)


def blocks(model):
    stack = decoder(model)
    return stack.layers if hasattr(stack, "layers") else stack.h


def final_norm(model):
    stack = decoder(model)
    return next(getattr(stack, n) for n in ("norm", "ln_f", "final_layer_norm") if hasattr(stack, n))


def tensor_of(output):
    return output[0] if isinstance(output, tuple) else output


class Taps:
    """Hooks on one model; `run(tokens)` gives one sequence's taps."""

    def __init__(self, model):
        self.model = model
        self.seen = {}
        self.hooks = []
        for layer, block in enumerate(blocks(model)):
            self.watch_block(layer, block)
        self.output_of(final_norm(model), "hidden")

    def keep(self, name, tensor):
        # A copy: olmoe clips the output of its linear maps in place.
        assert name not in self.seen, name
        self.seen[name] = tensor.detach().clone().squeeze(0)

    def input_of(self, module, name):
        def hook(module, args, kwargs):
            self.keep(name, args[0] if args else kwargs["hidden_states"])

        self.hooks.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    def output_of(self, module, name, change=lambda t: t):
        self.hooks.append(module.register_forward_hook(lambda m, args, out: self.keep(name, change(tensor_of(out)))))

    def watch_block(self, layer, block):
        at = f"L{layer}"
        parts = dict(block.named_modules())
        self.input_of(block, f"{at}.residual_in")
        self.output_of(block, f"{at}.residual_out")
        attention = next(parts[n] for n in ("self_attn", "attn", "attention") if n in parts)
        # What is added: the sublayer's output, behind its post-norm (gemma2, gemma3, olmo2) or multiplier (granite).
        scale = getattr(block, "residual_multiplier", 1.0)
        sandwich = "post_feedforward_layernorm" in parts
        attention_end = parts["post_attention_layernorm"] if sandwich else attention
        mlp_end = parts["post_feedforward_layernorm"] if sandwich else parts["mlp"]
        self.output_of(attention_end, f"{at}.attention_add", lambda t: t * scale)
        self.output_of(mlp_end, f"{at}.mlp_add", lambda t: t * scale)
        self.input_of(parts["mlp"], f"{at}.mlp.in")
        self.watch_linears(at, parts)
        fused = next((parts[n] for n in FUSED if n in parts), None)
        self.input_of(fused or parts["self_attn.q_proj"], f"{at}.attn.in")
        if fused:
            self.watch_fused(at, fused, attention)
        if "mlp.experts" in parts:
            self.watch_router(at, parts["mlp"])

    def watch_linears(self, at, parts):
        for component, names in MODULES.items():
            module = next((parts[n] for n in names if n in parts), None)
            if module is None:
                continue
            self.output_of(module, f"{at}.{component}.out")
            if component in ("attn.o", "mlp.down"):
                self.input_of(module, f"{at}.{component}.in")
        if "mlp.gate_up_proj" in parts:
            for half, component in enumerate(("mlp.gate", "mlp.up")):
                self.output_of(parts["mlp.gate_up_proj"], f"{at}.{component}.out", lambda t, h=half: t.chunk(2, -1)[h])

    def watch_fused(self, at, module, attention):
        config = attention.config
        heads = config.num_attention_heads
        kv = getattr(config, "num_key_value_heads", None) or heads
        if type(attention).__name__ == "GPTNeoXAttention":
            # [q k v] of head 0, then of head 1, and so on.
            part = lambda t, i: t.unflatten(-1, (heads, 3, -1))[..., i, :].flatten(-2)
        else:
            width = module(torch.zeros(1, 1, config.hidden_size, dtype=next(module.parameters()).dtype)).shape[-1] // (heads + 2 * kv)
            part = lambda t, i: t.split([heads * width, kv * width, kv * width], -1)[i]
        for i, component in enumerate(("q", "k", "v")):
            self.output_of(module, f"{at}.attn.{component}.out", lambda t, i=i: part(t, i))

    def watch_router(self, at, mlp):
        def hook(module, args, output):
            logits, weights, chosen = output
            self.seen[f"{at}.router"] = torch.zeros_like(logits).scatter(1, chosen, weights.to(logits.dtype))

        self.hooks.append(mlp.gate.register_forward_hook(hook))

    def run(self, tokens):
        """All taps of one sequence, with `logits` and `embedded`."""
        self.seen = {}
        with torch.no_grad():
            logits = self.model(input_ids=tokens.unsqueeze(0), use_cache=False).logits
            seen, self.seen = self.seen, {}
            for layer, block in enumerate(blocks(self.model)):
                if f"L{layer}.router" in seen:
                    seen |= expert_taps(f"L{layer}", block.mlp.experts, seen)
        seen["logits"] = logits.detach().squeeze(0)
        seen["embedded"] = seen["L0.residual_in"].clone()
        return seen

    def close(self):
        for hook in self.hooks:
            hook.remove()


def expert_taps(at, experts, seen):
    """Inputs and outputs of every expert on its own tokens, by the experts' own forward pass with routing weight 1."""
    out = {}
    routing, inputs = seen[f"{at}.router"], seen[f"{at}.mlp.in"]
    gate_up, down = experts.gate_up_proj.data, experts.down_proj.data.clone()
    width, ffn = down.shape[1:]
    for e in range(routing.shape[1]):
        x = inputs[routing[:, e] > 0]
        if not len(x):
            continue
        route = (torch.full((len(x), 1), e), torch.ones(len(x), 1, dtype=x.dtype))
        cell = lambda component: f"{at}.mlp.{component}[{e}]"
        gates = []
        hook = experts.act_fn.register_forward_hook(lambda m, args, y: gates.append(args[0].clone()))
        out[cell("down") + ".out"] = experts(x, *route)
        hook.remove()
        out[cell("gate") + ".out"] = gates[0]
        # With the identity (padded) for `down` the output is down's input; with the activation 1 as well, it is up's output.
        experts.down_proj.data[e] = torch.eye(width, ffn, dtype=down.dtype)
        out[cell("down") + ".in"] = experts(x, *route)[:, :ffn].clone()
        hook = experts.act_fn.register_forward_hook(lambda m, args, y: torch.ones_like(y))
        out[cell("up") + ".out"] = experts(x, *route)[:, :ffn].clone()
        hook.remove()
        experts.down_proj.data[e] = down[e]
    assert gate_up is experts.gate_up_proj.data or torch.equal(gate_up, experts.gate_up_proj.data)
    return out

"""Losses of the demo model by transformers, for crates/tomograph/tests/it/demo_model.rs.

    python demo.py fixtures/demo

Reads base/, tuned/ and the held-out texts *.jsonl in the folder, tokenizes them with each checkpoint's own tokenizer.json, joins
documents by <|endoftext|> (one in front, one at the end), cuts the tokens into windows of 512, and writes transformers.json: mean negative
log likelihood per predicted token in nats, each window by itself, weights in float32, losses in float64. For sums also the share of
lines of a window, but its first, whose answer has the highest probability digit by digit, the line's end included.
"""

import json
import platform
import re
import sys
from pathlib import Path

import tokenizers
import torch
import transformers

WINDOW = 512


def main():
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    found = {
        "script": "tools/reference/demo.py",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
    }
    for checkpoint in ["base", "tuned"]:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / checkpoint)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder / checkpoint, dtype=torch.float32).eval()
        found[checkpoint] = {}
        for kind in ["prose", "sample", "sums"]:
            documents = [json.loads(line)["text"] for line in (folder / f"{kind}.jsonl").open()]
            tokens = tokenizer("<|endoftext|>" + "<|endoftext|>".join(documents) + "<|endoftext|>")["input_ids"]
            windows = torch.tensor(tokens[: len(tokens) // WINDOW * WINDOW]).view(-1, WINDOW)
            with torch.no_grad():
                logits = torch.cat([model(w[None]).logits for w in windows]).double()
            losses = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), windows[:, 1:].flatten())
            found[checkpoint][kind] = losses.item()
            if kind == "sums":
                right = logits[:, :-1].argmax(-1) == windows[:, 1:]
                found[checkpoint]["sums_right"] = share_of_right_answers(tokenizer, windows, right)
    (folder / "transformers.json").write_text(json.dumps(found, indent=1) + "\n")


def share_of_right_answers(tokenizer, windows, right):
    answers = []
    for window, hits in zip(windows, right):
        text = tokenizer.decode(window).replace("<|endoftext|>", "\0")  # one character per token
        assert len(text) == len(window)
        # What follows " = " up to the line's end, of lines that begin in the window.
        for line in re.finditer(r"(?<=\n)\d+ [+-] \d+ = (\d+\n)", text):
            answers.append(hits[line.start(1) - 1 : line.end(1) - 1].all().item())
    return sum(answers) / len(answers)


if __name__ == "__main__":
    main()

# Made by python/tools/stubs.py from the program itself: change that, or the program's help.

from collections.abc import Mapping, Sequence
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

from ._map import Map
from ._own import OwnMetric
from ._progress import Progress
from ._registry import Client, Metric
from ._results import Page, Plan, Proof, Result

StrPath: TypeAlias = str | PathLike[str]
Metrics: TypeAlias = str | Metric | OwnMetric | Sequence[str | Metric | OwnMetric]

def scan(
    model: StrPath,
    metrics: Metrics | None = None,
    *,
    progress: bool | Progress = False,
    cell: Mapping[str, str] | str | Sequence[str] | None = None,
    group: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    out: StrPath | None = None,
    imatrix: StrPath | None = None,
    normalise: str | None = None,
    origin: Literal['bottom', 'top'] | None = None,
    palette: Literal['figure', 'uniform', 'auto'] | None = None,
    full_range: bool = False,
    against: StrPath | None = None,
    cast: str | None = None,
    partial: bool = False,
    subspace_rank: int | None = None,
    text: StrPath | Sequence[StrPath] | None = None,
    field: str | None = None,
    tokens: int | None = None,
    sequence: int | None = None,
    token_ids: StrPath | None = None,
    save_token_ids: StrPath | None = None,
    tokenizer: StrPath | None = None,
    memory: str | None = None,
    ignore_config_key: str | Sequence[str] | None = None,
    loss: Literal['text', 'answer'] | None = None,
    answers: StrPath | None = None,
    draws: int | None = None,
    ig_steps: int | None = None,
    resume: StrPath | bool | None = None,
    exact: bool = False,
    noise_levels: float | Sequence[float] | None = None,
    noise_seeds: int | None = None,
    rank: str | float | None = None,
    layers: str | Sequence[str] | None = None,
    cells: str | None = None,
    ray: str | None = None,
    shard: str | None = None,
    shards: int | None = None,
    ray_retries: int | None = None,
) -> Map:
    """Scan a model, or what an adapter changes, and draw the map

    metrics are ids, families, members of tomograph.Metric, or metrics of your own (tomograph.metric). Nothing is
    written unless out names a folder. Ctrl-C raises KeyboardInterrupt within a second. progress=True draws a bar; a
    function is called with (done, total, what).

    cell: Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    group: Group size of the simulated integer formats, along the input dimension [default: 128]
    seed: Seed of everything random (the baselines of random matrices) [default: 0]
    threads: Worker threads [default: one per core]
    out: Folder for the results [default: tomograph-<name of the model>]
    imatrix: Take what cells read from an imatrix that llama-imatrix or `tomograph imatrix` wrote, instead of
        running the model: for input-energy, input-outliers, wanda, owl-outliers and err-…@x
    normalise: How scores are made comparable (see: list normalisations) [default: the one that suits the metric]
    origin: Where layer 0 is [default: bottom]
    palette: Colours: blue - white - orange, viridis, or whichever suits the metric [default: figure]
    full_range: Colour the full range, even where outliers leave little of it for the rest

    Comparison
    against: Compare with this checkpoint, what the model was before it was tuned (patch-kl puts its cells into the
        model): a folder, file or hub name as for MODEL, of the same family and shape
    cast: Round both sides to this type before comparing: what both would store
    partial: Leave out cells that cannot be compared (another shape, missing on one side) instead of refusing
    subspace_rank: k of subspace-overlap-… and delta-on-principal: how many of the strongest singular directions are
        compared [default: 16]

    Text
    text: Files of plain text, or of JSON lines (.jsonl); - is standard input [default: a bundled sample of 66 kB]
    field: The key that holds the text in JSON lines [default: text]
    tokens: Tokens to run, in windows spread over the text [default: 8192]
    sequence: Tokens per window [default: 512]
    token_ids: Run exactly these tokens: a JSON array of arrays, as save_token_ids writes it
    save_token_ids: Write the tokens that were run
    tokenizer: A tokenizer.json instead of the model's own tokenizer
    memory: Memory a pass may take, e.g. 900MB, 4GiB; weights that do not fit are streamed block by block [default:
        60 % of what is free]
    ignore_config_key: Declare a key of the model's config harmless that is not known to be; may be repeated

    Gradients
    loss: Which tokens the loss is of: all that are predicted, or the answers' alone [default: answer with answers,
        else text]
    answers: Run on prompts with their completions instead of a text: JSON lines with the keys prompt and completion
    draws: Draws of labels from the model for predicted-kl-…, each a reverse pass in the same sweep; the relative
        noise of a cell is about the root of 2 over draws times sequences, and less with the neighbours' help
        [default: 96 over the number of sequences, at least 4]
    ig_steps: Points on the way from another sequence for ig, each a reverse pass of its own [default: 5]
    resume: Keep on disk what the reverse pass needs to go on after it was ended, and go on from there: the same
        command gives the same bits; causal metrics always do [default folder: resume in the folder for the results]

    Interventions
    exact: Run every changed model on every sequence: without it a cell is measured until it is settled whether it
        belongs to the highest tenth
    noise_levels: Sizes of the noise of noise-alpha, relative to the root mean square of the weights [default: 0.05,
        0.1, 0.15, 0.2]
    noise_seeds: Draws of noise of each size [default: 2]
    rank: What lowrank-kl keeps of a cell: a share of its singular values (0.5), or a number of them (32) [default:
        0.5]

    A part of the scan, for merge to put together with the others
    layers: Scan these layers alone: 0-13, or several: 0-3,20
    cells: Scan these cells alone: attn.v, L12.mlp.down, L3-7.mlp, several separated by commas
    ray: Make the map on the Ray cluster at this address (auto: the one that this machine belongs to, or a new one
        of its own); takes the Python package, whose program this is too
    shard: Make one of several parts of like size, e.g. 3/16: of cells or of sequences, whichever gives the same
        numbers; a line says which

    On Ray
    shards: Parts that the scan is cut into [default: twice as many as workers have room at once]
    ray_retries: How often a part is begun anew whose worker was lost [default: 3]
    """

def plan(
    maps: Map | StrPath | Sequence[Map | StrPath],
    client: Client | str,
    *,
    output: StrPath | None = None,
    kind: Literal['bits', 'rank', 'train', 'sparsity'] | None = None,
    target: str | None = None,
    size: str | None = None,
    ratio: str | float | None = None,
    parameters: int | None = None,
    rank: str | float | None = None,
    top: str | float | None = None,
    types: str | Sequence[str] | None = None,
    keep: str | Sequence[str] | None = None,
    cost: str | None = None,
    fuse: bool = False,
    normalise: str | None = None,
    origin: Literal['bottom', 'top'] | None = None,
    palette: Literal['figure', 'uniform', 'auto'] | None = None,
    full_range: bool = False,
) -> Plan:
    """Make a plan under a budget from maps, and the files that the program which acts on it accepts

    For instance: tomograph map MODEL metric quant-kl-q4_0,err-q4_0,err-q5_0,err-q8_0 out map; tomograph plan map
    target 5.5bpw for_ llama.cpp -o plan; tomograph verify plan text HELD_OUT; tomograph quantize MODEL plan -o
    OUT.gguf

    client is the program that will act on the plan. One budget has to be given: target, size, ratio, parameters,
    rank or top.

    kind: What is decided for every cell [default: what the client is mostly for]
    target: Bits per weight of the cells, scales counted (4.5bpw), or as many bytes as a mix of llama.cpp takes
        (like:q4_k_m)
    size: Bytes of the whole file: 84MB, 80MiB
    ratio: Share of the cells' bytes in the checkpoint, or of the weights removed: 0.3, 30%
    parameters: Parameters that are trained: 2M
    rank: As many parameters as LoRA of this rank everywhere
    top: Share of the cells of every column that is trained, as Spectrum does: 25%
    types: Types that cells may get, as `change` takes them: q4_0,q5_0,q8_0 or int3:g64,int4:g64 [default: the
        client's usual ones]
    keep: What must hold: attn.v>=q5_0, L0-3=q8_0, mlp<=q4_0, embedding=q8_0; may be repeated
    cost: Where costs come from: measured, scaled (measured at another type, times the squared error), predicted,
        alpha, weights, or a metric [default: auto]
    fuse: Store q, k and v alike, and gate and up; where the client joins them when it loads them, that is so
        without asking
    normalise: How scores are made comparable (see: list normalisations) [default: the one that suits the metric]
    origin: Where layer 0 is [default: bottom]
    palette: Colours: blue - white - orange, viridis, or whichever suits the metric [default: figure]
    full_range: Colour the full range, even where outliers leave little of it for the rest
    """

def verify(
    plan: Plan | StrPath,
    model: StrPath | None = None,
    *,
    beside: Mapping[str, Plan | StrPath] | None = None,
    progress: bool | Progress = False,
    text: StrPath | Sequence[StrPath] | None = None,
    field: str | None = None,
    tokens: int | None = None,
    sequence: int | None = None,
    token_ids: StrPath | None = None,
    save_token_ids: StrPath | None = None,
    tokenizer: StrPath | None = None,
    memory: str | None = None,
    ignore_config_key: str | Sequence[str] | None = None,
    baselines: Literal['uniform', 'rule', 'random', 'inverted', 'none'] | Sequence[Literal['uniform', 'rule', 'random', 'inverted', 'none']] | None = None,
    refine: int | None = None,
    calibrate: StrPath | Sequence[StrPath] | None = None,
    calibrate_ids: StrPath | None = None,
    calibrate_tokens: int | None = None,
    types: str | Sequence[str] | None = None,
    force: bool = False,
    cell: Mapping[str, str] | str | Sequence[str] | None = None,
    seed: int | None = None,
    threads: int | None = None,
    output: StrPath | Sequence[StrPath] | None = None,
) -> Proof:
    """Say whether a plan helps: the model stored as it says, beside others of the same size, on a held-out text

    Runs the model as it is, as the plan stores it, and as uniform storage, the client's own rule, random plans and
    the inverted plan do in as many bytes, all on the same tokens. The verdict: helps, no difference, or hurts, by
    the 95 % interval of the paired difference of KL; it is the worse of those against uniform and the client's
    rule. Exit code 0, 3 or 4. The text must be another than the map's.

    The plan may be one in memory. beside names other plans to run: {name: plan}.


    Text
    text: Files of plain text, or of JSON lines (.jsonl); - is standard input [default: a bundled sample of 66 kB]
    field: The key that holds the text in JSON lines [default: text]
    tokens: Tokens to run, in windows spread over the text [default: 8192]
    sequence: Tokens per window [default: 512]
    token_ids: Run exactly these tokens: a JSON array of arrays, as save_token_ids writes it
    save_token_ids: Write the tokens that were run
    tokenizer: A tokenizer.json instead of the model's own tokenizer
    memory: Memory a pass may take, e.g. 900MB, 4GiB; weights that do not fit are streamed block by block [default:
        60 % of what is free]
    ignore_config_key: Declare a key of the model's config harmless that is not known to be; may be repeated
    baselines: What the plan is held against, of what `tomograph plan` left in the folder baselines beside it
        [default: uniform, rule, random, inverted]
    refine: First refine the plan: spend so many more runs of changed models on swaps around it, and write
        plan.refined.json beside it
    calibrate: Files of the text that swaps are measured on: the map's own, or any but the held-out one
    calibrate_ids: Measure swaps on exactly these tokens, as save_token_ids writes them
    calibrate_tokens: Tokens to measure swaps on [default: 4096]
    types: What cells may be stored as when refining, e.g. q4_0,q5_0,q8_0 [default: the types that the plan has]
    force: Apply the plan though it was made for other weights
    cell: Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    seed: Seed of everything random: windows of the text, resamples [default: 0]
    threads: Worker threads [default: one per core]
    output: Write everything to a file, by its ending .md, .json or .csv; may be repeated
    """

def measure(
    model: StrPath,
    changes: str | Sequence[str],
    *,
    progress: bool | Progress = False,
    cell: Mapping[str, str] | str | Sequence[str] | None = None,
    group: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    against: StrPath | None = None,
    text: StrPath | Sequence[StrPath] | None = None,
    field: str | None = None,
    tokens: int | None = None,
    sequence: int | None = None,
    token_ids: StrPath | None = None,
    save_token_ids: StrPath | None = None,
    tokenizer: StrPath | None = None,
    memory: str | None = None,
    ignore_config_key: str | Sequence[str] | None = None,
) -> Result:
    """Say what changes to a model do to its predictions: KL divergence, loss, perplexity, agreement

    Changed and unchanged model run on the same tokens, and every number is paired over them; intervals are of 95 %,
    by a bootstrap over sequences. A change is SELECTION=EDIT: L12.mlp.down=int3, attn.v=zero, L3-7.mlp=q4_0,
    all=noise:0.1. Several act together, and the last word on a cell counts: change all=int3 change L5=restored.
    `list edits` shows what can be done to a cell.

    changes are like 'L12.mlp.down=int3'.

    cell: Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    group: Group size of the simulated integer formats, along the input dimension [default: 128]
    seed: Seed of everything random (the baselines of random matrices) [default: 0]
    threads: Worker threads [default: one per core]
    against: The checkpoint that `patch` takes cells from, named as MODEL is

    Text
    text: Files of plain text, or of JSON lines (.jsonl); - is standard input [default: a bundled sample of 66 kB]
    field: The key that holds the text in JSON lines [default: text]
    tokens: Tokens to run, in windows spread over the text [default: 8192]
    sequence: Tokens per window [default: 512]
    token_ids: Run exactly these tokens: a JSON array of arrays, as save_token_ids writes it
    save_token_ids: Write the tokens that were run
    tokenizer: A tokenizer.json instead of the model's own tokenizer
    memory: Memory a pass may take, e.g. 900MB, 4GiB; weights that do not fit are streamed block by block [default:
        60 % of what is free]
    ignore_config_key: Declare a key of the model's config harmless that is not known to be; may be repeated
    """

def perplexity(
    model: StrPath,
    *,
    progress: bool | Progress = False,
    cell: Mapping[str, str] | str | Sequence[str] | None = None,
    group: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    text: StrPath | Sequence[StrPath] | None = None,
    field: str | None = None,
    tokens: int | None = None,
    sequence: int | None = None,
    token_ids: StrPath | None = None,
    save_token_ids: StrPath | None = None,
    tokenizer: StrPath | None = None,
    memory: str | None = None,
    ignore_config_key: str | Sequence[str] | None = None,
) -> Result:
    """Say how well a model predicts a text: mean negative log likelihood and perplexity, with standard errors

    Every window is run by itself from position 0, and every token but its first counts. llama-perplexity scores
    only the second half of each window, so its number is lower; with token_ids any program can be given the same
    tokens.

    cell: Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    group: Group size of the simulated integer formats, along the input dimension [default: 128]
    seed: Seed of everything random (the baselines of random matrices) [default: 0]
    threads: Worker threads [default: one per core]

    Text
    text: Files of plain text, or of JSON lines (.jsonl); - is standard input [default: a bundled sample of 66 kB]
    field: The key that holds the text in JSON lines [default: text]
    tokens: Tokens to run, in windows spread over the text [default: 8192]
    sequence: Tokens per window [default: 512]
    token_ids: Run exactly these tokens: a JSON array of arrays, as save_token_ids writes it
    save_token_ids: Write the tokens that were run
    tokenizer: A tokenizer.json instead of the model's own tokenizer
    memory: Memory a pass may take, e.g. 900MB, 4GiB; weights that do not fit are streamed block by block [default:
        60 % of what is free]
    ignore_config_key: Declare a key of the model's config harmless that is not known to be; may be repeated
    """

def imatrix(
    model: StrPath,
    output: StrPath,
    *,
    progress: bool | Progress = False,
    cell: Mapping[str, str] | str | Sequence[str] | None = None,
    group: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    format: Literal['gguf', 'legacy'] | None = None,
    process_output: bool = False,
    text: StrPath | Sequence[StrPath] | None = None,
    field: str | None = None,
    tokens: int | None = None,
    sequence: int | None = None,
    token_ids: StrPath | None = None,
    save_token_ids: StrPath | None = None,
    tokenizer: StrPath | None = None,
    memory: str | None = None,
    ignore_config_key: str | Sequence[str] | None = None,
) -> Path:
    """Write an importance matrix for llama-quantize: how large the inputs of every tensor are on a text

    The file is what `llama-quantize imatrix` reads. Tokens are counted the way llama-imatrix counts them: every
    position of every window. Its windows follow each other without a choice, ours are spread over the text.

    cell: Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    group: Group size of the simulated integer formats, along the input dimension [default: 128]
    seed: Seed of everything random (the baselines of random matrices) [default: 0]
    threads: Worker threads [default: one per core]
    format: Format of the file [default: legacy for .dat, else gguf]
    process_output: Collect the inputs of the output head too

    Text
    text: Files of plain text, or of JSON lines (.jsonl); - is standard input [default: a bundled sample of 66 kB]
    field: The key that holds the text in JSON lines [default: text]
    tokens: Tokens to run, in windows spread over the text [default: 8192]
    sequence: Tokens per window [default: 512]
    token_ids: Run exactly these tokens: a JSON array of arrays, as save_token_ids writes it
    save_token_ids: Write the tokens that were run
    tokenizer: A tokenizer.json instead of the model's own tokenizer
    memory: Memory a pass may take, e.g. 900MB, 4GiB; weights that do not fit are streamed block by block [default:
        60 % of what is free]
    ignore_config_key: Declare a key of the model's config harmless that is not known to be; may be repeated
    """

def inspect(
    model: StrPath,
    metrics: Metrics | None = None,
    *,
    cell: Mapping[str, str] | str | Sequence[str] | None = None,
    group: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Result:
    """Say what a model or an adapter is and what scanning it will cost, without reading its weights

    cell: Say where cells are in a model of unknown family, e.g. 'attn.q=layers.{}.wq.weight'; may be repeated
    group: Group size of the simulated integer formats, along the input dimension [default: 128]
    seed: Seed of everything random (the baselines of random matrices) [default: 0]
    threads: Worker threads [default: one per core]
    """

def diff(
    first: Map | StrPath,
    second: Map | StrPath,
    metrics: Metrics | None = None,
    *,
    force: bool = False,
    top: int | None = None,
    out: StrPath | None = None,
    normalise: str | None = None,
    origin: Literal['bottom', 'top'] | None = None,
    palette: Literal['figure', 'uniform', 'auto'] | None = None,
    full_range: bool = False,
) -> Map:
    """Compare two maps of one grid: two models, two texts, two releases

    The difference is a map; its `comparison` says in what the two are not alike, and what moved most.

    force: Compare what both maps have of cells, where layers or shapes are not the same
    top: Cells that moved most, for each metric with json, else for the one that is drawn [default: 10]
    out: Folder for the results: diff.json, diff.csv, report.html, report.md and one picture per metric
    normalise: How scores are made comparable (see: list normalisations) [default: the one that suits the metric]
    origin: Where layer 0 is [default: bottom]
    palette: Colours: blue - white - orange, viridis, or whichever suits the metric [default: figure]
    full_range: Colour the full range, even where outliers leave little of it for the rest
    """

def merge(
    parts: Sequence[Map | bytes | StrPath],
    *,
    model: StrPath | None = None,
    out: StrPath | None = None,
) -> Map:
    """Put parts of a scan together to the map that one scan would have made

    Parts come from map with shard, layers or cells, made with otherwise the same command line, anywhere. Every cell
    and every sequence has to be in one part; what is missing or there twice is named.

    Parts may be maps in memory (scan with shard, layers or cells), their `part`, or folders. model says where the
    checkpoint is, if not where the parts found it: it is read only where scores take weights and sums over all
    sequences.
    """

def agree(
    maps: Map | StrPath | Sequence[Map | StrPath],
    truth: Metric | str | None = None,
    *,
    per_parameter: bool = False,
    force: bool = False,
    output: StrPath | Sequence[StrPath] | None = None,
    resamples: int | None = None,
    seed: int | None = None,
) -> Result:
    """Hold the metrics of maps against what changing cells was measured to cost

    Ranks every metric by its rank correlation with a measured cost, beside controls that know nothing of the
    weights. For instance: tomograph map MODEL metric all,quant-kl-int3 out maps; tomograph agree maps with_
    quant-kl-int3

    truth is the measured cost that others are held against.

    per_parameter: Compare costs and scores per weight: what allocation asks for
    force: Compare maps of the same grid though they are of different weights
    output: Write everything to a file, by its ending .md, .json or .csv; may be repeated
    resamples: Random samples behind intervals [default: 2000]
    seed: Seed of everything random [default: 0]
    """

def quantize(
    model: StrPath,
    plan: Plan | StrPath,
    output: StrPath,
    *,
    progress: bool | Progress = False,
    imatrix: StrPath | None = None,
    force: bool = False,
    threads: int | None = None,
) -> Result:
    """Write the GGUF file that a plan describes: every tensor as the plan has it, everything else as it was

    MODEL is a GGUF file, best the f16, bf16 or f32 one. Bytes are those that llama-quantize writes for the same
    types and the same imatrix, and tensors are in its order. The file is read back and held against the plan before
    it takes its place.

    The plan may be one in memory.

    imatrix: Weigh errors by the inputs that an imatrix has seen, as llama-quantize imatrix does
    force: Take a plan that was made from another checkpoint, if names and shapes agree
    threads: Worker threads [default: one per core]
    """

def explain(
    id: Enum | str,
) -> Page:
    """Explain a metric, family, output format, normalisation, number format, edit or client by its id
    """

# Made by python/tools/stubs.py from the program itself: change that, or the program's help.

from enum import Enum
from typing import Any

ENUMS: dict[str, str]

def member_name(id: str) -> str: ...
def entries() -> dict[str, dict[str, dict[str, Any]]]: ...

class Component(str, Enum):
    """The seven linear projections of a layer, in the order of tables."""

    ATTN_Q = 'attn.q'
    ATTN_K = 'attn.k'
    ATTN_V = 'attn.v'
    ATTN_O = 'attn.o'
    MLP_UP = 'mlp.up'
    MLP_DOWN = 'mlp.down'
    MLP_GATE = 'mlp.gate'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class Metric(str, Enum):
    """What can be measured; `ID@null` and `ID@x` are written as strings."""

    RMS = 'rms'
    MEAN_ABS = 'mean-abs'
    KURTOSIS = 'kurtosis'
    OUTLIER_SHARE = 'outlier-share'
    SPECTRAL_NORM = 'spectral-norm'
    STABLE_RANK = 'stable-rank'
    EFFECTIVE_RANK = 'effective-rank'
    PARTICIPATION_RATIO = 'participation-ratio'
    MP_EXCESS = 'mp-excess'
    SPECTRUM_SNR = 'spectrum-snr'
    PL_ALPHA = 'pl-alpha'
    PL_ALPHA_HILL = 'pl-alpha-hill'
    ERR_INT4 = 'err-int4'
    ERR_INT3 = 'err-int3'
    ERR_INT2 = 'err-int2'
    ERR_NF4 = 'err-nf4'
    ERR_Q4_0 = 'err-q4_0'
    ERR_NVFP4 = 'err-nvfp4'
    ERR_MXFP4 = 'err-mxfp4'
    ERR_FP8 = 'err-fp8'
    DELTA_RELATIVE = 'delta-relative'
    DELTA_SCALE = 'delta-scale'
    DELTA_DIRECTION = 'delta-direction'
    DELTA_COSINE = 'delta-cosine'
    UPDATE_DENSITY = 'update-density'
    UPDATE_DENSITY_TOL = 'update-density-tol'
    UPDATE_DENSITY_BF16 = 'update-density-bf16'
    DENSITY_LOWER_BOUND = 'density-lower-bound'
    BASE_RMS = 'base-rms'
    DELTA_RANK = 'delta-rank'
    DELTA_STABLE_RANK = 'delta-stable-rank'
    DELTA_EFFECTIVE_RANK = 'delta-effective-rank'
    SUBSPACE_OVERLAP_LEFT = 'subspace-overlap-left'
    SUBSPACE_OVERLAP_RIGHT = 'subspace-overlap-right'
    DELTA_ON_PRINCIPAL = 'delta-on-principal'
    SPECTRUM_DRIFT = 'spectrum-drift'
    SIGN_FLIPS = 'sign-flips'
    INPUT_ENERGY = 'input-energy'
    WANDA = 'wanda'
    OWL_OUTLIERS = 'owl-outliers'
    NFN = 'nfn'
    OUTPUT_ENERGY = 'output-energy'
    WRITE_RATIO = 'write-ratio'
    WRITE_COSINE = 'write-cosine'
    BLOCK_INFLUENCE = 'block-influence'
    INPUT_KURTOSIS = 'input-kurtosis'
    INPUT_OUTLIERS = 'input-outliers'
    EXPERTS_LOAD = 'experts-load'
    TAYLOR = 'taylor'
    TAYLOR_GROUP = 'taylor-group'
    SNIP = 'snip'
    FISHER = 'fisher'
    GRADIENT_NORM = 'gradient-norm'
    RELATIVE_GRADIENT_NORM = 'relative-gradient-norm'
    ATTRIBUTION_ZERO = 'attribution-zero'
    ATTRIBUTION_MEAN = 'attribution-mean'
    ATTRIBUTION_RESAMPLE = 'attribution-resample'
    IG = 'ig'
    QUANT_TAYLOR_INT4 = 'quant-taylor-int4'
    QUANT_TAYLOR_INT3 = 'quant-taylor-int3'
    QUANT_TAYLOR_INT2 = 'quant-taylor-int2'
    QUANT_TAYLOR_NF4 = 'quant-taylor-nf4'
    QUANT_TAYLOR_Q4_0 = 'quant-taylor-q4_0'
    QUANT_TAYLOR_NVFP4 = 'quant-taylor-nvfp4'
    QUANT_TAYLOR_MXFP4 = 'quant-taylor-mxfp4'
    QUANT_TAYLOR_FP8 = 'quant-taylor-fp8'
    PREDICTED_KL_INT4 = 'predicted-kl-int4'
    PREDICTED_KL_INT3 = 'predicted-kl-int3'
    PREDICTED_KL_INT2 = 'predicted-kl-int2'
    PREDICTED_KL_NF4 = 'predicted-kl-nf4'
    PREDICTED_KL_Q4_0 = 'predicted-kl-q4_0'
    PREDICTED_KL_NVFP4 = 'predicted-kl-nvfp4'
    PREDICTED_KL_MXFP4 = 'predicted-kl-mxfp4'
    PREDICTED_KL_FP8 = 'predicted-kl-fp8'
    QUANT_KL_INT4 = 'quant-kl-int4'
    QUANT_KL_INT3 = 'quant-kl-int3'
    QUANT_KL_INT2 = 'quant-kl-int2'
    QUANT_KL_NF4 = 'quant-kl-nf4'
    QUANT_KL_Q4_0 = 'quant-kl-q4_0'
    QUANT_KL_NVFP4 = 'quant-kl-nvfp4'
    QUANT_KL_MXFP4 = 'quant-kl-mxfp4'
    QUANT_KL_FP8 = 'quant-kl-fp8'
    NOISE_ALPHA = 'noise-alpha'
    ABLATE_ZERO = 'ablate-zero'
    ABLATE_MEAN = 'ablate-mean'
    ABLATE_RESAMPLE = 'ablate-resample'
    LOWRANK_KL = 'lowrank-kl'
    PATCH_KL = 'patch-kl'
    ERR_INT8 = 'err-int8'
    ERR_INT7 = 'err-int7'
    ERR_INT6 = 'err-int6'
    ERR_INT5 = 'err-int5'
    ERR_INT8_SYM = 'err-int8-sym'
    ERR_INT7_SYM = 'err-int7-sym'
    ERR_INT6_SYM = 'err-int6-sym'
    ERR_INT5_SYM = 'err-int5-sym'
    ERR_INT4_SYM = 'err-int4-sym'
    ERR_INT3_SYM = 'err-int3-sym'
    ERR_INT2_SYM = 'err-int2-sym'
    ERR_Q8_0 = 'err-q8_0'
    ERR_Q4_1 = 'err-q4_1'
    ERR_Q5_0 = 'err-q5_0'
    ERR_Q5_1 = 'err-q5_1'
    ERR_Q2_K = 'err-q2_k'
    ERR_Q3_K = 'err-q3_k'
    ERR_Q4_K = 'err-q4_k'
    ERR_Q5_K = 'err-q5_k'
    ERR_Q6_K = 'err-q6_k'
    ERR_IQ4_NL = 'err-iq4_nl'
    ERR_IQ4_XS = 'err-iq4_xs'
    ERR_F16 = 'err-f16'
    ERR_BF16 = 'err-bf16'
    QUANT_TAYLOR_INT8 = 'quant-taylor-int8'
    QUANT_TAYLOR_INT7 = 'quant-taylor-int7'
    QUANT_TAYLOR_INT6 = 'quant-taylor-int6'
    QUANT_TAYLOR_INT5 = 'quant-taylor-int5'
    QUANT_TAYLOR_INT8_SYM = 'quant-taylor-int8-sym'
    QUANT_TAYLOR_INT7_SYM = 'quant-taylor-int7-sym'
    QUANT_TAYLOR_INT6_SYM = 'quant-taylor-int6-sym'
    QUANT_TAYLOR_INT5_SYM = 'quant-taylor-int5-sym'
    QUANT_TAYLOR_INT4_SYM = 'quant-taylor-int4-sym'
    QUANT_TAYLOR_INT3_SYM = 'quant-taylor-int3-sym'
    QUANT_TAYLOR_INT2_SYM = 'quant-taylor-int2-sym'
    QUANT_TAYLOR_Q8_0 = 'quant-taylor-q8_0'
    QUANT_TAYLOR_Q4_1 = 'quant-taylor-q4_1'
    QUANT_TAYLOR_Q5_0 = 'quant-taylor-q5_0'
    QUANT_TAYLOR_Q5_1 = 'quant-taylor-q5_1'
    QUANT_TAYLOR_Q2_K = 'quant-taylor-q2_k'
    QUANT_TAYLOR_Q3_K = 'quant-taylor-q3_k'
    QUANT_TAYLOR_Q4_K = 'quant-taylor-q4_k'
    QUANT_TAYLOR_Q5_K = 'quant-taylor-q5_k'
    QUANT_TAYLOR_Q6_K = 'quant-taylor-q6_k'
    QUANT_TAYLOR_IQ4_NL = 'quant-taylor-iq4_nl'
    QUANT_TAYLOR_IQ4_XS = 'quant-taylor-iq4_xs'
    QUANT_TAYLOR_F16 = 'quant-taylor-f16'
    QUANT_TAYLOR_BF16 = 'quant-taylor-bf16'
    PREDICTED_KL_INT8 = 'predicted-kl-int8'
    PREDICTED_KL_INT7 = 'predicted-kl-int7'
    PREDICTED_KL_INT6 = 'predicted-kl-int6'
    PREDICTED_KL_INT5 = 'predicted-kl-int5'
    PREDICTED_KL_INT8_SYM = 'predicted-kl-int8-sym'
    PREDICTED_KL_INT7_SYM = 'predicted-kl-int7-sym'
    PREDICTED_KL_INT6_SYM = 'predicted-kl-int6-sym'
    PREDICTED_KL_INT5_SYM = 'predicted-kl-int5-sym'
    PREDICTED_KL_INT4_SYM = 'predicted-kl-int4-sym'
    PREDICTED_KL_INT3_SYM = 'predicted-kl-int3-sym'
    PREDICTED_KL_INT2_SYM = 'predicted-kl-int2-sym'
    PREDICTED_KL_Q8_0 = 'predicted-kl-q8_0'
    PREDICTED_KL_Q4_1 = 'predicted-kl-q4_1'
    PREDICTED_KL_Q5_0 = 'predicted-kl-q5_0'
    PREDICTED_KL_Q5_1 = 'predicted-kl-q5_1'
    PREDICTED_KL_Q2_K = 'predicted-kl-q2_k'
    PREDICTED_KL_Q3_K = 'predicted-kl-q3_k'
    PREDICTED_KL_Q4_K = 'predicted-kl-q4_k'
    PREDICTED_KL_Q5_K = 'predicted-kl-q5_k'
    PREDICTED_KL_Q6_K = 'predicted-kl-q6_k'
    PREDICTED_KL_IQ4_NL = 'predicted-kl-iq4_nl'
    PREDICTED_KL_IQ4_XS = 'predicted-kl-iq4_xs'
    PREDICTED_KL_F16 = 'predicted-kl-f16'
    PREDICTED_KL_BF16 = 'predicted-kl-bf16'
    QUANT_KL_INT8 = 'quant-kl-int8'
    QUANT_KL_INT7 = 'quant-kl-int7'
    QUANT_KL_INT6 = 'quant-kl-int6'
    QUANT_KL_INT5 = 'quant-kl-int5'
    QUANT_KL_INT8_SYM = 'quant-kl-int8-sym'
    QUANT_KL_INT7_SYM = 'quant-kl-int7-sym'
    QUANT_KL_INT6_SYM = 'quant-kl-int6-sym'
    QUANT_KL_INT5_SYM = 'quant-kl-int5-sym'
    QUANT_KL_INT4_SYM = 'quant-kl-int4-sym'
    QUANT_KL_INT3_SYM = 'quant-kl-int3-sym'
    QUANT_KL_INT2_SYM = 'quant-kl-int2-sym'
    QUANT_KL_Q8_0 = 'quant-kl-q8_0'
    QUANT_KL_Q4_1 = 'quant-kl-q4_1'
    QUANT_KL_Q5_0 = 'quant-kl-q5_0'
    QUANT_KL_Q5_1 = 'quant-kl-q5_1'
    QUANT_KL_Q2_K = 'quant-kl-q2_k'
    QUANT_KL_Q3_K = 'quant-kl-q3_k'
    QUANT_KL_Q4_K = 'quant-kl-q4_k'
    QUANT_KL_Q5_K = 'quant-kl-q5_k'
    QUANT_KL_Q6_K = 'quant-kl-q6_k'
    QUANT_KL_IQ4_NL = 'quant-kl-iq4_nl'
    QUANT_KL_IQ4_XS = 'quant-kl-iq4_xs'
    QUANT_KL_F16 = 'quant-kl-f16'
    QUANT_KL_BF16 = 'quant-kl-bf16'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class Family(str, Enum):
    """Which models are understood."""

    LLAMA = 'llama'
    QWEN2 = 'qwen2'
    QWEN3 = 'qwen3'
    GEMMA = 'gemma'
    GEMMA2 = 'gemma2'
    GEMMA3 = 'gemma3'
    PHI3 = 'phi3'
    OLMO2 = 'olmo2'
    GRANITE = 'granite'
    SMOLLM3 = 'smollm3'
    STABLELM = 'stablelm'
    STARCODER2 = 'starcoder2'
    ARCEE = 'arcee'
    GPT2 = 'gpt2'
    GPT_NEOX = 'gpt_neox'
    MIXTRAL = 'mixtral'
    QWEN3_MOE = 'qwen3_moe'
    OLMOE = 'olmoe'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class OutputFormat(str, Enum):
    """What a map can be drawn as."""

    ANSI = 'ansi'
    SVG = 'svg'
    PNG = 'png'
    PDF = 'pdf'
    HTML = 'html'
    MD = 'md'
    CSV = 'csv'
    JSON = 'json'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class Normalisation(str, Enum):
    """How scores can be made comparable."""

    RAW = 'raw'
    PER_PARAMETER = 'per-parameter'
    LAYER_SHARE = 'layer-share'
    MODEL_SHARE = 'model-share'
    COLUMN_MINMAX = 'column-minmax'
    COLUMN_Z = 'column-z'
    RANK = 'rank'
    LOG = 'log'
    NULL = 'null'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class NumberFormat(str, Enum):
    """Number formats whose error is simulated."""

    INT8 = 'int8'
    INT7 = 'int7'
    INT6 = 'int6'
    INT5 = 'int5'
    INT4 = 'int4'
    INT3 = 'int3'
    INT2 = 'int2'
    INT8_SYM = 'int8-sym'
    INT7_SYM = 'int7-sym'
    INT6_SYM = 'int6-sym'
    INT5_SYM = 'int5-sym'
    INT4_SYM = 'int4-sym'
    INT3_SYM = 'int3-sym'
    INT2_SYM = 'int2-sym'
    NF4 = 'nf4'
    Q4_0 = 'q4_0'
    Q8_0 = 'q8_0'
    NVFP4 = 'nvfp4'
    MXFP4 = 'mxfp4'
    FP8 = 'fp8'
    Q4_1 = 'q4_1'
    Q5_0 = 'q5_0'
    Q5_1 = 'q5_1'
    Q2_K = 'q2_k'
    Q3_K = 'q3_k'
    Q4_K = 'q4_k'
    Q5_K = 'q5_k'
    Q6_K = 'q6_k'
    IQ4_NL = 'iq4_nl'
    IQ4_XS = 'iq4_xs'
    F16 = 'f16'
    BF16 = 'bf16'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class Edit(str, Enum):
    """What can be done to a cell."""

    ZERO = 'zero'
    MEAN = 'mean'
    RESAMPLE = 'resample'
    FORMAT = 'FORMAT'
    NOISE = 'noise'
    RANK = 'rank'
    PATCH = 'patch'
    RESTORED = 'restored'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

class Client(str, Enum):
    """Programs that act on plans."""

    LLAMA_CPP = 'llama.cpp'
    MLX = 'mlx'
    MISTRAL_RS = 'mistral.rs'
    GPTQMODEL = 'gptqmodel'
    LLM_COMPRESSOR = 'llm-compressor'
    MODELOPT = 'modelopt'
    PEFT = 'peft'
    AXOLOTL = 'axolotl'
    SIMULATED = 'simulated'

    @property
    def summary(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...

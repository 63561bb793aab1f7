"""The operators that a graph may use: those that the families export, and others of their kind.

None makes integers of values, and none repeats or chooses a subgraph. The shape of everything in a graph then
follows from the shape of its input: a run on the golden inputs says what a run costs. For that reason `Loop`,
`Scan`, `If`, `Cast`, `Where`, `NonZero`, `Range`, `Tile`, `ConstantOfShape` and comparisons are left out.
"""

from __future__ import annotations

_EXPORTED = """
    Add Clip Concat Expand Flatten GRU Gather GatherND Gemm LSTM MatMul Mul ReduceMean Reshape Shape Sigmoid
    Slice Softmax Transpose Unsqueeze ai.onnx.ml:TreeEnsembleRegressor
"""
_LIKE_THEM = """
    Abs BatchNormalization Celu Constant Conv Div Elu Erf Exp Gelu HardSigmoid HardSwish Identity
    LayerNormalization LeakyRelu Log LogSoftmax Max Mean Min Mish Neg PRelu Pow RNN Reciprocal ReduceL1
    ReduceL2 ReduceMax ReduceMin ReduceSum ReduceSumSquare Relu Selu Softplus Softsign Split Sqrt Squeeze
    Sub Sum Tanh ai.onnx.ml:LinearRegressor ai.onnx.ml:Normalizer ai.onnx.ml:Scaler
"""

EXPORTED = frozenset(_EXPORTED.split())
OPERATORS = EXPORTED | frozenset(_LIKE_THEM.split())

// No include guard: includes FOVEA_BODY once per instruction set, each in a namespace of its own
// (fovea::kernels::cpu::plain, ::avx2, ::avx512) compiled for that set. Before: #define FOVEA_BODY "path.inl" and include
// every standard header that the body needs, plus fovea/kernels/cpu/simd.h. Functions of the body have hidden names by
// their namespace; a .cpp dispatches with kernels::choose(). The body is written once, over simd.h's `Floats`.

namespace fovea::kernels::cpu::plain {
#include FOVEA_BODY
}

FOVEA_TARGET_AVX2
namespace fovea::kernels::cpu::avx2 {
#include FOVEA_BODY
}
FOVEA_TARGET_END

FOVEA_TARGET_AVX512
namespace fovea::kernels::cpu::avx512 {
#include FOVEA_BODY
}
FOVEA_TARGET_END

#undef FOVEA_BODY

#pragma once

#include "core/kernels/conv_impl.h"

/// The one place that speaks to oneDNN (2.x; its 3.x interface differs). Primitives are cached by shape, their blocked
/// layouts stay inside. Threads are parallel_for's: every primitive runs on the thread that calls it, over a part of
/// the batch or of the channels that depends on the shape alone.
namespace tapewire::kernels::onednn {

/// Whether the library is given convolutions of such a shape: those that networks have. Beyond them (padding that whole
/// windows fall into; kernels, paddings, strides or dilations above 64; images of 256 MiB) it is slow at best, and
/// version 2.6 was seen to read past its memory in the weights' gradient for a padding of 1,000.
bool suits(const ConvShape& s);

// Each is false, with nothing computed, when suits() is, when oneDNN has no fast implementation for the shape, or when
// its work cannot be cut into pieces of some milliseconds; between these the cancel token is checked. Plain row-major
// arrays; `bias` may be null.
bool conv_forward(const ConvShape& s, const float* x, const float* w, const float* bias, float* out);
bool conv_backward_input(const ConvShape& s, const float* grad, const float* w, float* grad_x);
bool conv_backward_weight(const ConvShape& s, const float* grad, const float* x, float* grad_w);

}  // namespace tapewire::kernels::onednn

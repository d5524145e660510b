#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fovea/kernels/decode_attention.h"
#include "fovea/ops/attention.h"

namespace fovea::attention {

/// What a cache holds and where. E and Ev are the widths of a cached key and value.
struct CacheOptions {
  std::int64_t kv_heads = 1;
  std::int64_t key_width = 0;     ///< E
  std::int64_t value_width = 0;   ///< Ev
  DType dtype = DType::f32;       ///< f32, bf16, or i8 with a scale a head and token
  std::int64_t page_tokens = 64;  ///< a multiple of 16; 0: contiguous, a sequence in one piece
  std::int64_t capacity = 0;  ///< most tokens in all pages together (contiguous: in a sequence); 0: no bound
  std::int64_t window_left =
      -1;  ///< queries look back at most so many keys, older ones are given up; -1: all
};

/// Keys and values of the past of B sequences, appended in place, read by decode_attention below.
/// Paged, memory comes in pages of a fixed number of tokens from a free list, and sequences that fork share
/// pages until one of them writes into a page not yet full, which it then copies. Contiguous, a sequence lies
/// in one piece that grows by doubling; forks share the piece until one of them writes. In both, reordering
/// copies nothing, and what no query can reach any more (window_left) is given up a page or 16 tokens at a
/// time. An operation that throws leaves everything as it was. Memory  tokens * H_kv * (E + Ev) elements,
/// widths of values rounded up to 16; i8: 8 bytes a head and token more. Source  Kwon et al. 2023
/// (PagedAttention) for pages; layout of a page: kernels/cache_layout.h.
class KeyValueCache {
 public:
  /// Throws Error(bug) if the widths, the dtype, the page or the bounds are none.
  explicit KeyValueCache(const CacheOptions& options);

  const CacheOptions& options() const { return options_; }
  std::int64_t sequences() const { return static_cast<std::int64_t>(state_.rows.size()); }
  std::int64_t length(std::int64_t b) const {
    return row(b).length;
  }                                                                  ///< tokens seen, given up ones included
  std::int64_t first(std::int64_t b) const { return row(b).first; }  ///< position of the oldest token held
  std::int64_t pages_in_use() const;
  std::int64_t bytes() const;  ///< allocated, free pages included

  /// Adds `count` sequences without a past.
  void admit(std::int64_t count = 1);

  /// Sequence i goes on from what was sequence parents[i]: selects, drops, forks. Throws Error(bug) if there
  /// is none of that number.
  void reorder(std::span<const std::int32_t> parents);

  /// Appends rows start[b] .. start[b] + count[b] - 1 of k and v to sequence b: one token or a whole prompt.
  /// Shapes  k.matrix [N, .] f32 with H_kv heads of width E, v.matrix with H_kv of width Ev
  /// Throws  Error(bug) naming the shapes if they do not fit, or if k or v is not f32; Error(machine) if the
  ///         cache is full
  void append(const ops::PackedHeads& k, const ops::PackedHeads& v, const ops::Sequences& tokens);

  /// What the kernel reads; holds until the cache changes.
  kernels::CacheView view() const;

 private:
  struct Row {
    std::int64_t first = 0, length = 0;
    std::vector<std::int32_t> pages;
  };
  // All that changes, so that a change is planned on a copy, which then takes its place.
  struct State {
    kernels::CacheLayout layout;
    std::vector<Row> rows;
    std::vector<std::byte*> memory;        // of each page
    std::vector<std::int32_t> references;  // to each page
    std::vector<std::int32_t> free;        // pages
    std::vector<std::shared_ptr<Storage>> slabs;
  };

  bool contiguous() const { return options_.page_tokens == 0; }
  const Row& row(std::int64_t b) const;
  void expect_heads(const ops::PackedHeads& operand, std::int64_t width, const char* name) const;
  void expect_tokens(const ops::PackedHeads& k, const ops::PackedHeads& v,
                     const ops::Sequences& tokens) const;
  [[noreturn]] void throw_full(const ops::Sequences& tokens) const;

  // An append is planned first: which pages it takes and which tiles it copies. Nothing is written until all
  // of it is known to fit, since it may write into pages that the same append gives up.
  struct Copy {
    const std::byte* from;
    std::int64_t from_tile;
    std::byte* to;
    std::int64_t tiles;
  };
  struct Plan {
    State state;
    std::vector<Copy> copies;
    const ops::Sequences& tokens;
  };
  std::int64_t given_up(const Row& row) const;
  std::int64_t most_pages() const;
  std::int32_t take_page(Plan& plan) const;
  static void release(State& state, std::int32_t page);
  void add_slab(State& state) const;
  void make_room(Plan& plan, Row& row, std::int64_t count) const;
  void own_last_page(Plan& plan, Row& row) const;
  void make_piece(Plan& plan, Row& row, std::int64_t count) const;
  void enlarge_pieces(Plan& plan) const;
  void write(State& state, Row& row, const ops::PackedHeads& k, const ops::PackedHeads& v, std::int64_t start,
             std::int64_t count) const;
  void commit(State&& state);

  CacheOptions options_;
  State state_;
  // Of the view.
  std::vector<const std::byte*> pages_;
  std::vector<std::int64_t> page_start_, first_, length_;
};

struct CachedAttentionOptions {
  std::int64_t heads = 1;     ///< H query heads; the cache's divide them
  bool causal = true;         ///< a query sees itself and what came before; else all that is cached
  float scale = 0.0f;         ///< 0: 1/sqrt(E)
  float soft_cap = 0.0f;      ///< c > 0: scores s become c tanh(s/c)
  Tensor sinks = {};          ///< [H], or undefined
  Tensor distance_bias = {};  ///< [H, distances] added by distance from query to key, the last for all
                              ///< beyond; or undefined
};

/// Attention of the newest tokens of each cached sequence over its past, which must count them already.
///   context[t,h] = sum_j softmax_j(cap(scale * q[t,h] . k[j,h/G]) + bias[h][i-j]) v[j,h/G],  G = H / H_kv
/// Shapes   q.matrix [N, .] f32; query t of sequence b is row start[b] + t, its position length(b) - count[b]
/// + t Returns  context [N, H * Ev]; rows of no sequence are zero Edge     a query that sees nothing: zeros.
/// Inference alone: no gradient Throws   Error(bug) naming B, H and E if they disagree Source   see
/// kernels/decode_attention.h
Tensor decode_attention(const ops::Context& ctx, const ops::PackedHeads& q, const KeyValueCache& cache,
                        const ops::Sequences& queries, const CachedAttentionOptions& options);

/// Keys and values of the tokens of many hypotheses, one row a token, in rows that the caller numbers. Which
/// rows are the past of which hypothesis is the business of ops::Sequences::rows: nothing is ever moved or
/// shared when beams are reordered, and a row that no hypothesis names any more is used again. The best for
/// sentences: a few dozen tokens each.
class HypothesisCache {
 public:
  /// Makes room for rows 0 .. rows - 1 of `width` columns; what there are keep their contents. Throws
  /// Error(bug) if width is not that of the first call.
  void reserve(std::int64_t rows, std::int64_t width);
  std::int64_t capacity() const { return capacity_; }  ///< rows
  /// A row: of different ones, several threads may write at once.
  float* row(std::int64_t i) const { return rows_.get() + i * width_; }

 private:
  // The system's own, which takes back what was outgrown: tensors would keep it, twice as much as is used.
  struct Free {
    void operator()(float* rows) const;
  };
  std::unique_ptr<float[], Free> rows_;
  std::int64_t capacity_ = 0, width_ = 0;
};

}  // namespace fovea::attention

#include "fovea/attention/cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace fovea::attention {
namespace {

constexpr std::int64_t tile = kernels::CacheLayout::tile_slots;
constexpr std::int64_t slab_bytes = 8 << 20;  // memory that is asked for at once, where pages are small

std::int64_t whole_tiles(std::int64_t tokens) { return (tokens + tile - 1) / tile * tile; }

// `what` makes the text: asked many times a token, needed never.
template <class What>
void expect(bool holds, const What& what) {
  if (!holds) throw Error(Error::Kind::bug, "key-value cache", what());
}

std::string number(std::int64_t n) { return std::to_string(n); }

}  // namespace

KeyValueCache::KeyValueCache(const CacheOptions& options) : options_(options) {
  state_.layout = {options.dtype, options.kv_heads, options.key_width, options.value_width,
                   contiguous() ? tile : options.page_tokens};
  kernels::validate(state_.layout);
  expect(options.capacity >= 0 && (options.capacity == 0 || contiguous() || most_pages() > 0), [&] {
    return "a capacity of " + number(options.capacity) + " tokens does not hold a page of " +
           number(options.page_tokens);
  });
  expect(options.window_left >= -1,
         [&] { return "a window cannot look back " + number(options.window_left) + " keys"; });
}

const KeyValueCache::Row& KeyValueCache::row(std::int64_t b) const {
  expect(b >= 0 && b < sequences(),
         [&] { return "there is no sequence " + number(b) + ", B = " + number(sequences()); });
  return state_.rows[static_cast<std::size_t>(b)];
}

std::int64_t KeyValueCache::pages_in_use() const {
  return static_cast<std::int64_t>(state_.memory.size() - state_.free.size());
}

std::int64_t KeyValueCache::bytes() const {
  std::int64_t bytes = 0;
  for (const auto& slab : state_.slabs) bytes += static_cast<std::int64_t>(slab->bytes());
  return bytes;
}

void KeyValueCache::admit(std::int64_t count) {
  expect(count >= 0, [&] { return "cannot admit " + number(count) + " sequences"; });
  State next = state_;
  next.rows.resize(next.rows.size() + static_cast<std::size_t>(count));
  commit(std::move(next));
}

void KeyValueCache::reorder(std::span<const std::int32_t> parents) {
  State next = state_;
  next.rows.clear();
  for (const std::int32_t parent : parents) {
    next.rows.push_back(row(parent));
    for (const std::int32_t page : next.rows.back().pages) ++next.references[static_cast<std::size_t>(page)];
  }
  for (const Row& old : state_.rows)
    for (const std::int32_t page : old.pages) release(next, page);
  commit(std::move(next));
}

void KeyValueCache::append(const ops::PackedHeads& k, const ops::PackedHeads& v,
                           const ops::Sequences& tokens) {
  expect_tokens(k, v, tokens);
  Plan plan{state_, {}, tokens};
  if (contiguous()) enlarge_pieces(plan);
  for (std::size_t b = 0; b < plan.state.rows.size(); ++b) {
    if (tokens.count[b] == 0) continue;
    if (contiguous())
      make_piece(plan, plan.state.rows[b], tokens.count[b]);
    else
      make_room(plan, plan.state.rows[b], tokens.count[b]);
  }
  const kernels::CacheLayout& layout = plan.state.layout;
  for (const Copy& c : plan.copies)
    kernels::copy_tiles(layout, c.from, c.from_tile, layout, c.to, 0, c.tiles);
  for (std::size_t b = 0; b < plan.state.rows.size(); ++b)
    write(plan.state, plan.state.rows[b], k, v, tokens.start[b], tokens.count[b]);
  commit(std::move(plan.state));
}

void KeyValueCache::write(State& state, Row& row, const ops::PackedHeads& k, const ops::PackedHeads& v,
                          std::int64_t start, std::int64_t count) const {
  const std::int64_t page_tokens = state.layout.page_tokens, k_row = k.matrix.dim(1), v_row = v.matrix.dim(1);
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t slot = row.length - row.first;
    const std::int64_t n = std::min(count - done, page_tokens - slot % page_tokens);
    const std::int32_t page = row.pages[static_cast<std::size_t>(slot / page_tokens)];
    kernels::store_tokens(state.layout, state.memory[static_cast<std::size_t>(page)], slot % page_tokens, n,
                          {k.matrix.f32() + (start + done) * k_row + k.first, {k_row, options_.key_width}},
                          {v.matrix.f32() + (start + done) * v_row + v.first, {v_row, options_.value_width}});
    row.length += n;
    done += n;
  }
}

void KeyValueCache::expect_heads(const ops::PackedHeads& operand, std::int64_t width,
                                 const char* name) const {
  expect(operand.matrix.defined() && operand.matrix.dtype() == DType::f32, [&] {
    return std::string(name) + " must be f32; it is rounded to " + std::string(name_of(options_.dtype)) +
           " on the way in";
  });
  expect(operand.matrix.shape().rank() == 2 && operand.first >= 0 &&
             operand.first + options_.kv_heads * width <= operand.matrix.dim(1),
         [&] {
           return std::string(name) + ": H = " + number(options_.kv_heads) +
                  " heads of width E = " + number(width) + " from column " + number(operand.first) +
                  " do not fit in " + operand.matrix.shape().text();
         });
}

void KeyValueCache::expect_tokens(const ops::PackedHeads& k, const ops::PackedHeads& v,
                                  const ops::Sequences& tokens) const {
  expect_heads(k, options_.key_width, "k");
  expect_heads(v, options_.value_width, "v");
  expect(tokens.size() == sequences() && tokens.count.size() == tokens.start.size() && tokens.rows.empty(),
         [&] {
           return "tokens of B = " + number(tokens.size()) +
                  " sequences for a cache of B = " + number(sequences());
         });
  const std::int64_t N = std::min(k.matrix.dim(0), v.matrix.dim(0));
  for (std::size_t b = 0; b < tokens.start.size(); ++b)
    expect(tokens.start[b] >= 0 && tokens.count[b] >= 0 && tokens.start[b] <= N - tokens.count[b], [&] {
      return "rows " + number(tokens.start[b]) + " to " + number(tokens.start[b] + tokens.count[b]) +
             " of sequence " + std::to_string(b) + " are not in k and v of " + number(N) + " rows";
    });
}

void KeyValueCache::throw_full(const ops::Sequences& tokens) const {
  std::int64_t more = 0, longest = 0;
  for (std::size_t b = 0; b < tokens.count.size(); ++b) {
    more += tokens.count[b];
    longest = std::max(longest, state_.rows[b].length + tokens.count[b]);
  }
  throw Error(Error::Kind::machine, "key-value cache",
              "full: it holds " + number(options_.capacity) + " tokens (H = " + number(options_.kv_heads) +
                  ", E = " + number(options_.key_width) + "), but B = " + number(sequences()) +
                  " sequences bring " + number(more) + " more and the longest gets S = " + number(longest),
              "give it more capacity, or drop sequences first");
}

// The position before which nothing will be seen again, once row.length is the position of the next query.
std::int64_t KeyValueCache::given_up(const Row& row) const {
  return options_.window_left < 0 ? 0 : std::max<std::int64_t>(0, row.length - options_.window_left);
}

std::int64_t KeyValueCache::most_pages() const {
  return options_.capacity == 0 || contiguous() ? 0 : options_.capacity / options_.page_tokens;
}

std::int32_t KeyValueCache::take_page(Plan& plan) const {
  State& state = plan.state;
  if (state.free.empty()) {
    if (most_pages() > 0 && static_cast<std::int64_t>(state.memory.size()) >= most_pages())
      throw_full(plan.tokens);
    add_slab(state);
  }
  const std::int32_t page = state.free.back();
  state.free.pop_back();
  state.references[static_cast<std::size_t>(page)] = 1;
  return page;
}

void KeyValueCache::release(State& state, std::int32_t page) {
  if (--state.references[static_cast<std::size_t>(page)] == 0) state.free.push_back(page);
}

void KeyValueCache::add_slab(State& state) const {
  const std::int64_t have = static_cast<std::int64_t>(state.memory.size()), bytes = state.layout.page_bytes();
  std::int64_t count = std::clamp<std::int64_t>(have, 1, std::max<std::int64_t>(1, slab_bytes / bytes));
  if (most_pages() > 0) count = std::min(count, most_pages() - have);
  state.slabs.push_back(Storage::allocate(static_cast<std::size_t>(count * bytes)));
  for (std::int64_t i = count - 1; i >= 0; --i) state.free.push_back(static_cast<std::int32_t>(have + i));
  for (std::int64_t i = 0; i < count; ++i) state.memory.push_back(state.slabs.back()->data() + i * bytes);
  state.references.resize(state.memory.size(), 0);
}

// Pages for `count` more tokens of a row, all its own from the first that will be written.
void KeyValueCache::make_room(Plan& plan, Row& row, std::int64_t count) const {
  const std::int64_t page_tokens = plan.state.layout.page_tokens;
  const auto old = std::min<std::int64_t>((given_up(row) - row.first) / page_tokens,
                                          static_cast<std::int64_t>(row.pages.size()));
  if (old > 0) {
    for (std::int64_t i = 0; i < old; ++i) release(plan.state, row.pages[static_cast<std::size_t>(i)]);
    row.pages.erase(row.pages.begin(), row.pages.begin() + old);
    row.first += old * page_tokens;
  }
  own_last_page(plan, row);
  while (static_cast<std::int64_t>(row.pages.size()) * page_tokens < row.length - row.first + count)
    row.pages.push_back(take_page(plan));
}

// A page that is not full and that others read, too, is copied before it is written.
void KeyValueCache::own_last_page(Plan& plan, Row& row) const {
  State& state = plan.state;
  const std::int64_t used = (row.length - row.first) % state.layout.page_tokens;
  if (used == 0 || state.references[static_cast<std::size_t>(row.pages.back())] == 1) return;
  const std::int32_t shared = row.pages.back(), own = take_page(plan);
  plan.copies.push_back({state.memory[static_cast<std::size_t>(shared)], 0,
                         state.memory[static_cast<std::size_t>(own)], whole_tiles(used) / tile});
  release(state, shared);
  row.pages.back() = own;
}

// Contiguous: the one page of a row is made its own; what is given up is left behind when room ends.
void KeyValueCache::make_piece(Plan& plan, Row& row, std::int64_t count) const {
  State& state = plan.state;
  if (row.pages.empty()) {
    row.pages.push_back(take_page(plan));
    return;
  }
  const bool fits = row.length - row.first + count <= state.layout.page_tokens;
  if (fits && state.references[static_cast<std::size_t>(row.pages[0])] == 1) return;
  const std::int64_t from = fits ? 0 : std::max<std::int64_t>(0, given_up(row) - row.first) / tile;
  const std::int32_t before = row.pages[0], piece = take_page(plan);
  plan.copies.push_back({state.memory[static_cast<std::size_t>(before)], from,
                         state.memory[static_cast<std::size_t>(piece)],
                         whole_tiles(row.length - row.first) / tile - from});
  release(state, before);
  row.pages[0] = piece;
  row.first += from * tile;
}

// Contiguous: if the longest sequence does not fit, all pieces double, or more, in memory of their own.
void KeyValueCache::enlarge_pieces(Plan& plan) const {
  const State old = plan.state;
  std::int64_t longest = 0, room = 0;
  for (std::size_t b = 0; b < old.rows.size(); ++b) {
    const Row& row = old.rows[b];
    const std::int64_t all = row.length + plan.tokens.count[b], reach = std::max(row.first, given_up(row));
    if (plan.tokens.count[b] == 0) continue;
    longest = std::max(longest, all - reach);
    room = std::max(room, all - std::max(row.first, reach / tile * tile));
  }
  if (options_.capacity > 0 && longest > options_.capacity) throw_full(plan.tokens);
  if (room <= old.layout.page_tokens && !old.memory.empty()) return;
  std::int64_t page_tokens = std::max({room, 2 * old.layout.page_tokens, std::int64_t{64}});
  if (options_.capacity > 0) page_tokens = std::min(page_tokens, options_.capacity + tile);
  plan.state = {};
  plan.state.layout = old.layout;
  plan.state.layout.page_tokens = whole_tiles(page_tokens);
  plan.state.rows = old.rows;
  std::vector<std::int32_t> copy_of(old.memory.size(), -1);
  for (Row& row : plan.state.rows) {
    if (row.pages.empty()) continue;
    const auto before = static_cast<std::size_t>(row.pages[0]);
    if (copy_of[before] >= 0) {
      ++plan.state.references[static_cast<std::size_t>(copy_of[before])];
    } else {
      copy_of[before] = take_page(plan);
      kernels::copy_tiles(old.layout, old.memory[before], 0, plan.state.layout,
                          plan.state.memory[static_cast<std::size_t>(copy_of[before])], 0,
                          old.layout.tiles());
    }
    row.pages[0] = copy_of[before];
  }
}

void KeyValueCache::commit(State&& state) {
  std::vector<const std::byte*> pages;
  std::vector<std::int64_t> page_start, first, length;
  for (const Row& row : state.rows) {
    page_start.push_back(static_cast<std::int64_t>(pages.size()));
    first.push_back(row.first);
    length.push_back(row.length);
    for (const std::int32_t page : row.pages) pages.push_back(state.memory[static_cast<std::size_t>(page)]);
  }
  state_ = std::move(state);
  pages_ = std::move(pages);
  page_start_ = std::move(page_start);
  first_ = std::move(first);
  length_ = std::move(length);
}

kernels::CacheView KeyValueCache::view() const {
  return {state_.layout, pages_.data(), page_start_.data(), first_.data(), length_.data()};
}

Tensor decode_attention(const ops::Context& ctx, const ops::PackedHeads& q, const KeyValueCache& cache,
                        const ops::Sequences& queries, const CachedAttentionOptions& options) {
  const CacheOptions& held = cache.options();
  const std::int64_t H = options.heads, E = held.key_width;
  expect(H > 0 && H % held.kv_heads == 0, [&] {
    return "H = " + number(H) + " query heads cannot share " + number(held.kv_heads) + " cached heads";
  });
  expect(q.matrix.shape().rank() == 2 && q.first >= 0 && q.first + H * E <= q.matrix.dim(1), [&] {
    return "q: H = " + number(H) + " heads of width E = " + number(E) + " from column " + number(q.first) +
           " do not fit in " + q.matrix.shape().text();
  });
  expect(queries.size() == cache.sequences(), [&] {
    return "queries of B = " + number(queries.size()) + " sequences, cached B = " + number(cache.sequences());
  });
  const std::int64_t N = q.matrix.dim(0);
  kernels::DecodeExtents x;
  for (std::size_t b = 0; b < queries.start.size(); ++b)
    expect(queries.start[b] >= 0 && queries.count[b] >= 0 && queries.start[b] <= N - queries.count[b], [&] {
      return "rows of sequence " + std::to_string(b) + " are not in q of " + number(N) + " rows";
    });
  if (options.sinks.defined()) expect_shape(options.sinks, {H}, "decode_attention: sinks");
  if (options.distance_bias.defined()) {
    expect_shape(options.distance_bias, {H, -1}, "decode_attention: distance_bias");
    x.distance_bias = options.distance_bias.f32();
    x.distances = options.distance_bias.dim(1);
  }
  x.sequences = queries.size();
  x.heads = H;
  x.q = {q.matrix.dim(1), E};
  x.out = {H * held.value_width, held.value_width};
  x.q_start = queries.start.data();
  x.q_count = queries.count.data();
  x.causal = options.causal;
  x.window_left = held.window_left;
  x.scale = options.scale != 0.0f ? options.scale : 1.0f / std::sqrt(static_cast<float>(E));
  x.soft_cap = options.soft_cap;
  x.sinks = options.sinks.defined() ? options.sinks.f32() : nullptr;
  Tensor context = Tensor::zeros({N, H * held.value_width});
  kernels::decode_attention(ctx.exec, x, cache.view(), q.matrix.f32() + q.first, context.f32());
  return context;
}

void HypothesisCache::Free::operator()(float* rows) const { ::operator delete[](rows, std::align_val_t{64}); }

void HypothesisCache::reserve(std::int64_t rows, std::int64_t width) {
  if (width <= 0 || (width_ > 0 && width_ != width))
    expect(false,
           [&] { return "rows of width " + number(width) + " for a cache of width " + number(width_); });
  if (rows <= capacity_) return;
  const std::int64_t capacity = std::max<std::int64_t>({capacity_ * 3 / 2, rows, 64});
  const auto bytes = static_cast<std::size_t>(capacity * width) * sizeof(float);
  auto* larger = static_cast<float*>(::operator new[](bytes, std::align_val_t{64}));
  std::copy_n(rows_.get(), capacity_ * width_, larger);
  rows_.reset(larger);
  capacity_ = capacity;
  width_ = width;
}

}  // namespace fovea::attention

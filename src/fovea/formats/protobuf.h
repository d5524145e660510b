#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Protocol Buffers on the wire: enough to read and write messages whose schema is in the caller's code.
/// Source: the "Encoding" page of the Protocol Buffers documentation.
namespace fovea::formats {

/// Reads the fields of one message, in order, from bytes that nobody vouches for.
///
///   for (ProtobufReader message(bytes, "source.spm"); message.next();)
///     if (message.field() == 1) piece = message.bytes();       // other fields are skipped by themselves
///
/// Every length is checked against what is left. Throws Error(model) naming `where` and the offset in the
/// outermost message for: a varint of more than 64 bits, a length past the end, a truncated value, field
/// number 0, groups (deprecated since 2008, never written by the formats read here), unknown wire types, a
/// value asked for under another wire type than it has, and messages nested deeper than `max_depth`. Views
/// point into the bytes given, which must outlive them.
class ProtobufReader {
 public:
  static constexpr int max_depth = 32;

  ProtobufReader(std::string_view bytes, std::string_view where) : ProtobufReader(bytes, where, 0, 0) {}

  /// Moves to the next field; false at the end of the message.
  bool next();

  std::uint32_t field() const { return field_; }

  std::uint64_t varint() const;
  std::int32_t int32() const {
    return static_cast<std::int32_t>(varint());
  }  ///< as protobuf does: low 32 bits
  bool boolean() const { return varint() != 0; }
  float f32() const;
  double f64() const;
  std::string_view bytes() const;
  ProtobufReader message() const;  ///< a nested message

 private:
  enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  ProtobufReader(std::string_view bytes, std::string_view where, std::size_t base, int depth)
      : bytes_(bytes), where_(where), base_(base), depth_(depth) {}

  std::uint64_t read_varint();
  std::uint64_t read_fixed(std::size_t size);
  void expect(Wire wire) const;
  [[noreturn]] void fail(std::string_view what) const;

  std::string_view bytes_;
  std::string_view where_;
  std::size_t base_;       // offset of bytes_ in the outermost message
  std::size_t at_ = 0;     // read position in bytes_
  std::size_t begin_ = 0;  // where the payload of the current field begins, for messages
  int depth_;
  std::uint32_t field_ = 0;
  Wire wire_ = Wire::varint;
  std::uint64_t number_ = 0;  // payload of varint and fixed fields
  std::string_view payload_;  // payload of bytes fields
};

/// Appends fields to a message.
class ProtobufWriter {
 public:
  void varint(std::uint32_t field, std::uint64_t value);
  void int64(std::uint32_t field, std::int64_t value) { varint(field, static_cast<std::uint64_t>(value)); }
  void f32(std::uint32_t field, float value);
  void f64(std::uint32_t field, double value);
  void bytes(std::uint32_t field, std::string_view value);
  void message(std::uint32_t field, const ProtobufWriter& value) { bytes(field, value.out_); }

  const std::string& str() const& { return out_; }
  std::string str() && { return std::move(out_); }

 private:
  void tag(std::uint32_t field, unsigned wire);
  void raw_varint(std::uint64_t value);
  void raw_fixed(std::uint64_t value, std::size_t size);

  std::string out_;
};

}  // namespace fovea::formats

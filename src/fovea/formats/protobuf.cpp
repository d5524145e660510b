#include "fovea/formats/protobuf.h"

#include <bit>

#include "fovea/base/error.h"

namespace fovea::formats {
namespace {

constexpr std::uint32_t max_field = (1u << 29) - 1;

}  // namespace

void ProtobufReader::fail(std::string_view what) const {
  std::string text(what);
  text += " at byte " + std::to_string(base_ + at_);
  throw Error(Error::Kind::model, where_, text, "the file is damaged or of another kind");
}

std::uint64_t ProtobufReader::read_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (at_ == bytes_.size()) fail("a number is cut off");
    const auto byte = static_cast<unsigned char>(bytes_[at_]);
    if (shift == 63 && byte > 1) fail("a number has more than 64 bits");
    ++at_;
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
}

std::uint64_t ProtobufReader::read_fixed(std::size_t size) {
  if (bytes_.size() - at_ < size) fail("a number is cut off");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value |= std::uint64_t{static_cast<unsigned char>(bytes_[at_ + i])} << (8 * i);
  at_ += size;
  return value;
}

bool ProtobufReader::next() {
  if (at_ == bytes_.size()) return false;
  const std::uint64_t tag = read_varint();
  if ((tag >> 3) == 0 || (tag >> 3) > max_field)
    fail("field number " + std::to_string(tag >> 3) + " does not exist");
  field_ = static_cast<std::uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      number_ = read_varint();
      break;
    case 1:
      number_ = read_fixed(8);
      break;
    case 2: {
      const std::uint64_t length = read_varint();
      if (length > bytes_.size() - at_)
        fail("field " + std::to_string(field_) + " of " + std::to_string(length) +
             " bytes reaches past the end");
      begin_ = at_;
      payload_ = bytes_.substr(at_, static_cast<std::size_t>(length));
      at_ += payload_.size();
      break;
    }
    case 5:
      number_ = read_fixed(4);
      break;
    default:
      fail("wire type " + std::to_string(tag & 7) + " is not allowed");
  }
  wire_ = static_cast<Wire>(tag & 7);
  return true;
}

void ProtobufReader::expect(Wire wire) const {
  if (wire_ == wire) return;
  fail("field " + std::to_string(field_) + " has wire type " + std::to_string(static_cast<int>(wire_)) +
       " where " + std::to_string(static_cast<int>(wire)) + " belongs, before");
}

std::uint64_t ProtobufReader::varint() const {
  expect(Wire::varint);
  return number_;
}

float ProtobufReader::f32() const {
  expect(Wire::fixed32);
  return std::bit_cast<float>(static_cast<std::uint32_t>(number_));
}

double ProtobufReader::f64() const {
  expect(Wire::fixed64);
  return std::bit_cast<double>(number_);
}

std::string_view ProtobufReader::bytes() const {
  expect(Wire::bytes);
  return payload_;
}

ProtobufReader ProtobufReader::message() const {
  expect(Wire::bytes);
  if (depth_ + 1 >= max_depth) fail("messages are nested too deeply");
  return ProtobufReader(payload_, where_, base_ + begin_, depth_ + 1);
}

void ProtobufWriter::raw_varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(0x80 | (value & 0x7f)));
  out_.push_back(static_cast<char>(value));
}

void ProtobufWriter::raw_fixed(std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
}

void ProtobufWriter::tag(std::uint32_t field, unsigned wire) {
  if (field == 0 || field > max_field) throw Error(Error::Kind::bug, "protobuf", "field number out of range");
  raw_varint(std::uint64_t{field} << 3 | wire);
}

void ProtobufWriter::varint(std::uint32_t field, std::uint64_t value) {
  tag(field, 0);
  raw_varint(value);
}

void ProtobufWriter::f32(std::uint32_t field, float value) {
  tag(field, 5);
  raw_fixed(std::bit_cast<std::uint32_t>(value), 4);
}

void ProtobufWriter::f64(std::uint32_t field, double value) {
  tag(field, 1);
  raw_fixed(std::bit_cast<std::uint64_t>(value), 8);
}

void ProtobufWriter::bytes(std::uint32_t field, std::string_view value) {
  tag(field, 2);
  raw_varint(value.size());
  out_.append(value);
}

}  // namespace fovea::formats

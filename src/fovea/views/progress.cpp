#include "fovea/views/progress.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <vector>

#include "fovea/base/decimal.h"
#include "fovea/views/axis.h"
#include "fovea/views/canvas.h"

namespace fovea::views {
namespace {

constexpr double most_seconds = 8.64e9;  // 100,000 days
constexpr Colour accent{255, 190, 105}, good{120, 200, 140};

/// A part of the line. Parts of the lowest rank go first when room is short.
struct Part {
  int rank;
  std::string text;
  Paint paint = {};
};

std::string two_digits(long long n) {
  std::string out = n < 10 ? "0" : "";
  return out.append(std::to_string(n));
}

/// Three significant digits: "0.00242", "21.3"; very small and very large numbers as "1.2e-05".
std::string short_number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : "inf";
  const double size = std::fabs(value);
  if (size != 0 && (size < 1e-3 || size >= 1e6)) {
    char buffer[32];
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific, 1).ptr;
    return {buffer, end};
  }
  if (size == 0) return "0";
  return fixed(value, std::max(0, 2 - static_cast<int>(std::floor(std::log10(size)))));
}

std::string update_text(const TrainingProgress& p) {
  std::string out = with_commas(p.update);
  if (p.updates > 0) out.append("/").append(with_commas(p.updates));
  return out;
}

std::string with_name(const char* name, const std::string& value) {
  std::string out = name;
  return out.append(" ").append(value);
}

std::string bar(double share, int columns, Charset charset) {
  static constexpr std::array<const char*, 8> eighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double filled = std::clamp(share, 0.0, 1.0) * columns;
  const int full = static_cast<int>(filled);
  std::string out;
  if (charset == Charset::ascii) {
    out.append("[").append(static_cast<std::size_t>(full), '=');
    return out.append(static_cast<std::size_t>(columns - full), ' ').append("]");
  }
  for (int i = 0; i < full; ++i) out += "█";
  const auto eighth = static_cast<std::size_t>((filled - full) * 8);
  int rest = columns - full;
  if (rest > 0 && eighth > 0) {
    out += eighths[eighth];
    --rest;
  }
  for (int i = 0; i < rest; ++i) out += "·";
  return out;
}

std::vector<Part> parts(const TrainingProgress& p, Charset charset) {
  std::vector<Part> out{{100, update_text(p), {.bold = true}}};
  if (p.updates > 0) {
    const double share = static_cast<double>(p.update) / static_cast<double>(p.updates);
    out.push_back({70, bar(share, 14, charset), {.foreground = accent}});
  }
  if (p.epoch) out.push_back({30, with_name("epoch", fixed(*p.epoch, 1)), {}});
  if (p.loss) out.push_back({90, with_name("loss", fixed(*p.loss, 3)), {}});
  if (p.loss && p.unit == "tok") out.push_back({40, with_name("ppl", perplexity_text(*p.loss)), {}});
  if (p.learning_rate) out.push_back({20, with_name("lr", short_number(*p.learning_rate)), {.faint = true}});
  if (p.gradient_norm) out.push_back({10, with_name("|g|", short_number(*p.gradient_norm)), {.faint = true}});
  if (p.units_per_second) out.push_back({55, count_text(*p.units_per_second) + " " + p.unit + "/s", {}});
  if (!p.last_score.empty()) out.push_back({50, p.last_score, {.foreground = good}});
  if (!p.best_score.empty()) out.push_back({60, with_name("best", p.best_score), {.foreground = good}});
  if (p.seconds_left) out.push_back({80, duration_text(*p.seconds_left) + " left", {.bold = true}});
  return out;
}

constexpr int gap = 2;

int columns(const std::vector<Part>& parts) {
  int sum = parts.empty() ? 0 : -gap;
  for (const auto& part : parts) sum += display_width(part.text) + gap;
  return sum;
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds < 9.95) return fixed(seconds, 1) + "s";
  const auto total = std::llround(std::min(seconds, most_seconds));
  const auto minutes = total / 60, hours = minutes / 60, days = hours / 24;
  if (total < 60) return std::to_string(total) + "s";
  if (hours == 0) return std::to_string(minutes) + "m" + two_digits(total % 60) + "s";
  if (days == 0) return std::to_string(hours) + "h" + two_digits(minutes % 60) + "m";
  return std::to_string(days) + "d" + two_digits(hours % 24) + "h";
}

std::string perplexity_text(double loss) {
  const double value = std::exp(loss);
  if (!std::isfinite(value) || value >= 1e5) return short_number(value);
  return fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

std::string count_text(double count) {
  if (!std::isfinite(count) || count < 0) return "?";
  if (count < 9995) return std::to_string(std::llround(count));
  if (count < 99.95e3) return fixed(count / 1e3, 1) + "k";
  if (count < 999.5e3) return fixed(count / 1e3, 0) + "k";
  return short_number(count / 1e6) + "M";
}

std::string progress_line(const TrainingProgress& progress, const TerminalStyle& style) {
  const int room = std::max(style.width - 1, 0);
  auto shown = parts(progress, style.charset);
  while (shown.size() > 1 && columns(shown) > room) {
    shown.erase(std::min_element(shown.begin(), shown.end(),
                                 [](const Part& a, const Part& b) { return a.rank < b.rank; }));
  }
  Canvas canvas(room);
  int x = 0;
  for (const auto& part : shown) {
    x = canvas.put(x, 0, fit(glyphs(part.text), room, style.charset), part.paint) + gap;
  }
  std::string line = canvas.text(style);
  if (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

std::string plain_progress_line(const TrainingProgress& progress) {
  std::string out = "update";
  for (const auto& part : parts(progress, Charset::ascii)) {
    if (part.text.front() != '[') out.append(out == "update" ? " " : "  ").append(part.text);
  }
  return out;
}

void SmoothedRate::add(double amount, double seconds) {
  if (!(amount >= 0) || !(seconds > 0) || !std::isfinite(amount) || !std::isfinite(seconds)) return;
  const double keep = std::exp(-seconds / memory_);
  amount_ = keep * amount_ + amount;
  seconds_ = keep * seconds_ + seconds;
}

std::optional<double> SmoothedRate::per_second() const {
  if (seconds_ <= 0) return std::nullopt;
  return amount_ / seconds_;
}

std::string RedrawnLine::redraw(const std::string& line, Clock::time_point now) {
  if (drawn_ && now - *drawn_ < std::chrono::milliseconds(100)) return {};
  drawn_ = now;
  std::string out = "\r";
  return out.append(line).append("\x1b[K");
}

std::string RedrawnLine::clear() {
  if (!drawn_) return {};
  drawn_.reset();
  return "\r\x1b[K";
}

std::string RedrawnLine::finish(const std::string& line) {
  drawn_.reset();
  std::string out = "\r";
  return out.append(line).append("\x1b[K\n");
}

}  // namespace fovea::views

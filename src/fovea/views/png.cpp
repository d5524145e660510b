#include "fovea/views/png.h"

#include <cairo/cairo.h>
#include <fontconfig/fontconfig.h>
#include <librsvg/rsvg.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cmath>
#include <memory>
#include <set>

#include "fovea/base/error.h"

namespace fovea::views {
namespace {

constexpr double most_pixels = 32767;  // of a side: cairo counts them in 16 bits

template <auto release>
struct Release {
  template <class Object>
  void operator()(Object* object) const {
    release(object);
  }
};
using Handle = std::unique_ptr<RsvgHandle, Release<g_object_unref>>;
using Surface = std::unique_ptr<cairo_surface_t, Release<cairo_surface_destroy>>;
using Pen = std::unique_ptr<cairo_t, Release<cairo_destroy>>;
using FontSet = std::unique_ptr<FcFontSet, Release<FcFontSetDestroy>>;
using FontPattern = std::unique_ptr<FcPattern, Release<FcPatternDestroy>>;
using FontProperties = std::unique_ptr<FcObjectSet, Release<FcObjectSetDestroy>>;

Error not_svg(GError* error) {
  const std::string what = error ? error->message : "it has no size";
  if (error) g_error_free(error);
  return Error(Error::Kind::bug, "png", "the picture is not SVG that can be drawn: " + what);
}

Handle read_svg(std::string_view svg) {
  GError* error = nullptr;
  Handle handle(rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), &error));
  if (!handle) throw not_svg(error);
  return handle;
}

struct Size {
  double width = 0, height = 0;
};
Size size_in_pixels(const Handle& handle) {
  Size size;
  if (!rsvg_handle_get_intrinsic_size_in_pixels(handle.get(), &size.width, &size.height))
    throw not_svg(nullptr);
  return size;
}

Surface blank(Size size) {
  if (!(size.width >= 1 && size.height >= 1 && size.width <= most_pixels && size.height <= most_pixels))
    throw Error(Error::Kind::usage, "png",
                "a picture of " + std::to_string(std::llround(size.width)) + " x " +
                    std::to_string(std::llround(size.height)) + " pixels; PNG here is 1 to 32,767 a side",
                "choose another scale, or write .svg, which has no limit");
  Surface surface(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, static_cast<int>(size.width),
                                             static_cast<int>(size.height)));
  if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS)
    throw Error(Error::Kind::machine, "png", "no memory for the picture", "choose a smaller scale");
  return surface;
}

void draw(const Handle& handle, const Surface& surface, Size size) {
  const Pen pen(cairo_create(surface.get()));
  const RsvgRectangle all{0, 0, size.width, size.height};
  GError* error = nullptr;
  if (!rsvg_handle_render_document(handle.get(), pen.get(), &all, &error)) throw not_svg(error);
}

cairo_status_t append(void* out, const unsigned char* bytes, unsigned count) {
  static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(bytes), count);
  return CAIRO_STATUS_SUCCESS;
}

/// Every character that one of the machine's fonts can draw.
FcCharSet* drawable() {
  const FontPattern any(FcPatternCreate());
  const FontProperties wanted(FcObjectSetBuild(FC_CHARSET, nullptr));
  const FontSet fonts(FcFontList(nullptr, any.get(), wanted.get()));
  FcCharSet* all = FcCharSetCreate();
  for (int i = 0; fonts && i < fonts->nfont; ++i) {
    FcCharSet* one = nullptr;
    if (FcPatternGetCharSet(fonts->fonts[i], FC_CHARSET, 0, &one) == FcResultMatch)
      FcCharSetMerge(all, one, nullptr);
  }
  return all;
}

}  // namespace

std::string png_from_svg(std::string_view svg, double scale) {
  const Handle handle = read_svg(svg);
  const Size own = size_in_pixels(handle);
  const Size size{std::ceil(own.width * scale), std::ceil(own.height * scale)};
  const Surface surface = blank(size);
  draw(handle, surface, size);
  std::string out;
  if (cairo_surface_write_to_png_stream(surface.get(), append, &out) != CAIRO_STATUS_SUCCESS)
    throw Error(Error::Kind::machine, "png", "no memory for the file", "choose a smaller scale");
  return out;
}

std::string letters_without_font(std::string_view text) {
  const std::unique_ptr<FcCharSet, Release<FcCharSetDestroy>> known(drawable());
  const auto* data = reinterpret_cast<const std::uint8_t*>(text.data());
  std::set<UChar32> seen;
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(data, i, text.size(), c);
    if (!u_isgraph(c) || FcCharSetHasChar(known.get(), static_cast<FcChar32>(c)) || !seen.insert(c).second)
      continue;
    out += text.substr(start, i - start);
  }
  return out;
}

}  // namespace fovea::views

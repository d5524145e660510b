// fovea embed: texts as vectors, and the lines of a file that are nearest to one.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fovea/base/error.h"
#include "fovea/base/file.h"
#include "fovea/cli/command.h"
#include "fovea/cli/common.h"
#include "fovea/cli/model_folder.h"
#include "fovea/cli/text_lines.h"
#include "fovea/decoding/text_embedder.h"
#include "fovea/formats/json_writer.h"
#include "fovea/formats/npy.h"

namespace fovea::cli {
namespace {

struct Options {
  std::string model, output, search, pooling;
  TextLines lines;
  bool normalise = false;
  std::int64_t top = 5;
  DTypeFlag dtype;
  int threads = 0;
};

constexpr std::size_t most_texts = 512;

void write_json_lines(const decoding::TextEmbedder& embedder, const Options& options) {
  Output out;
  options.lines.for_each(most_texts, [&](const TextLines::Texts& texts) {
    const Tensor vectors = embedder.embed(encode(embedder.encoder(), texts));
    for (std::size_t i = 0; i < texts.texts.size(); ++i) {
      formats::JsonWriter json(formats::JsonWriter::Layout::compact);
      json.begin_object().field("text", texts.texts[i].text).key("embedding").begin_array();
      for (const float x : decoding::row_of(vectors, i)) json.value(x);
      out.write(json.end_array().end_object().finish() + "\n");
    }
    out.flush();
  });
}

void write_npy(const decoding::TextEmbedder& embedder, const Options& options) {
  std::vector<float> values;
  std::int64_t rows = 0, columns = 0;
  options.lines.for_each(most_texts, [&](const TextLines::Texts& texts) {
    const Tensor vectors = embedder.embed(encode(embedder.encoder(), texts));
    values.insert(values.end(), vectors.values().begin(), vectors.values().end());
    rows += vectors.dim(0);
    columns = vectors.dim(1);
  });
  if (rows == 0) throw Error(Error::Kind::data, "embed", "there is no text");
  formats::save_npy(options.output, values, rows, columns);
}

/// The lines of the searched file and their vectors, kept while queries come.
struct Searched {
  std::vector<std::string> lines;
  std::vector<float> vectors;
};

Searched read_searched(const decoding::TextEmbedder& embedder, const std::string& path) {
  Searched searched;
  const TextLines file{.arguments = {}, .input = path, .pair = false};
  file.for_each(most_texts, [&](const TextLines::Texts& texts) {
    const Tensor vectors = embedder.embed(encode(embedder.encoder(), texts));
    searched.vectors.insert(searched.vectors.end(), vectors.values().begin(), vectors.values().end());
    for (const auto& text : texts.texts) searched.lines.push_back(text.text);
  });
  if (searched.lines.empty()) throw Error(Error::Kind::data, shown(path), "has no line to be found");
  return searched;
}

void search(const decoding::TextEmbedder& embedder, const Options& options) {
  const Searched searched = read_searched(embedder, options.search);
  Output out;
  options.lines.for_each(most_texts, [&](const TextLines::Texts& texts) {
    const Tensor queries = embedder.embed(encode(embedder.encoder(), texts));
    for (std::size_t i = 0; i < texts.texts.size(); ++i) {
      const auto similar = decoding::similarities(decoding::row_of(queries, i), searched.vectors);
      if (texts.texts.size() > 1) out.write(texts.texts[i].text + "\n");
      for (const auto n : decoding::greatest(similar, static_cast<std::size_t>(options.top))) {
        char score[32];
        std::snprintf(score, sizeof score, "%.4f", double{similar[n]});
        out.write(std::string(score) + "\t" + std::to_string(n + 1) + "\t" + searched.lines[n] + "\n");
      }
    }
    out.flush();
  });
}

void embed(const Options& options) {
  if (!options.search.empty() && !options.output.empty())
    throw Error(Error::Kind::usage, "--output", "stands beside --search", "give one of them");
  refuse_checkpoint(options.model);
  const kernels::ExecutionOwner owner(options.threads);
  const auto embedder = decoding::TextEmbedder::load(
      options.model, owner.get(),
      {.pooling = options.pooling, .normalise = options.normalise, .weights = options.dtype.wanted()});
  if (!options.search.empty())
    search(embedder, options);
  else if (options.output.empty())
    write_json_lines(embedder, options);
  else
    write_npy(embedder, options);
  warn_of_cuts(embedder.encoder());
}

}  // namespace

void add_embed(CLI::App& fovea) {
  CLI::App* command = fovea.add_subcommand("embed", "Turn texts into vectors, or find lines like a text");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--model", options->model,
                   "Model directory: of sentence-transformers, or BERT, DistilBERT or RoBERTa")
      ->required()
      ->type_name("DIR");
  options->lines.add_to(*command);
  command
      ->add_option("--pooling", options->pooling,
                   "What becomes of the states of a text (default: as the model says, else mean)")
      ->check(CLI::IsMember({"mean", "cls", "max", "mean_sqrt", "weighted", "last"}))
      ->type_name("KIND");
  command->add_flag("--normalise,--normalize", options->normalise,
                    "Vectors of length 1, also where the model does not say so");
  command->add_option("--output", options->output, "Write all vectors to this .npy file")->type_name("FILE");
  command->add_option("--search", options->search, "Give the lines of this file that are most like each text")
      ->type_name("FILE");
  command->add_option("--top", options->top, "So many lines")
      ->check(CLI::Range(1, 1000000))
      ->type_name("K")
      ->capture_default_str();
  options->dtype.add_to(*command);
  add_threads_option(*command, options->threads);
  command->footer(
      "Prints a JSON object a text; with --search SIMILARITY (cosine), tab, LINE NUMBER, tab, LINE.\n"
      "Example: fovea embed --model all-MiniLM-L6-v2 --search notes.txt \"where did I put the keys\"");
  command->callback([options] { embed(*options); });
}

}  // namespace fovea::cli

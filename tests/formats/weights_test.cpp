#include "fovea/formats/weights.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "fovea/formats/json_writer.h"
#include "tests/base/fake_file_system.h"
#include "tests/base/scratch.h"

namespace fovea::formats {
namespace {

using test::message_of;
using test::ScratchFolder;

void save(const std::filesystem::path& path, std::initializer_list<std::pair<std::string, float>> tensors) {
  SafetensorsWriter writer;
  for (const auto& [name, value] : tensors) writer.add(name, Tensor::full({2}, value));
  writer.save(path);
}

void save_index(const std::filesystem::path& folder,
                std::initializer_list<std::pair<std::string, std::string>> map) {
  JsonWriter json;
  json.begin_object().key("metadata").begin_object().field("total_size", -1).end_object();
  json.key("weight_map").begin_object();
  for (const auto& [tensor, file] : map) json.field(tensor, file);
  write_atomically(folder / "model.safetensors.index.json", json.end_object().end_object().finish());
}

std::string refusal(const std::filesystem::path& folder) {
  return message_of(Error::Kind::model, [&] { Weights::open(folder); });
}

bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos ? true : (ADD_FAILURE() << message, false);
}

TEST(Weights, OneFile) {
  const ScratchFolder folder;
  save(folder / "model.safetensors", {{"b", 2}, {"a", 1}});
  const Weights weights = Weights::open(folder.path());
  EXPECT_EQ(weights.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(weights.read("b").f32()[1], 2.0F);
  EXPECT_TRUE(weights.has("a"));
  EXPECT_EQ(message_of(Error::Kind::model, [&] { weights.read("c"); }),
            folder.path().string() + ": has no tensor \"c\"");
}

TEST(Weights, Shards) {
  const ScratchFolder folder;
  save(folder / "model-00001-of-00002.safetensors", {{"a", 1}, {"c", 3}});
  save(folder / "model-00002-of-00002.safetensors", {{"b", 2}});
  save_index(folder.path(), {{"a", "model-00001-of-00002.safetensors"},
                             {"b", "model-00002-of-00002.safetensors"},
                             {"c", "model-00001-of-00002.safetensors"}});
  const Weights weights = Weights::open(folder.path());
  EXPECT_EQ(weights.names(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(weights.shards().size(), 2U);
  EXPECT_EQ(weights.read("a").f32()[0] + weights.read("b").f32()[0] + weights.read("c").f32()[0], 6.0F);
}

TEST(Weights, A20_ShardsThatDoNotAgreeWithTheIndex) {
  const ScratchFolder folder;
  save(folder / "one.safetensors", {{"a", 1}});
  save(folder / "two.safetensors", {{"a", 1}, {"b", 2}});
  save_index(folder.path(), {{"a", "none.safetensors"}});
  says(refusal(folder.path()), "none.safetensors: there is no such file");
  save_index(folder.path(), {{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  says(refusal(folder.path()),
       "two.safetensors: holds the tensor \"a\", which model.safetensors.index.json places in");
  save_index(folder.path(), {{"a", "two.safetensors"}});
  says(refusal(folder.path()), "holds the tensor \"b\", which model.safetensors.index.json does not name");
  save_index(folder.path(), {{"a", "one.safetensors"}, {"c", "one.safetensors"}});
  says(refusal(folder.path()),
       "weight_map.c: places the tensor in one.safetensors, which has none of that name");
  save_index(folder.path(), {{"a", "one.safetensors"}});  // two.safetensors is a file that nobody names
  EXPECT_EQ(Weights::open(folder.path()).names(), std::vector<std::string>{"a"});
}

TEST(Weights, A20_D10_NamesThatLeaveTheFolder) {
  const ScratchFolder folder;
  save(folder / "outside.safetensors", {{"a", 1}});
  std::filesystem::create_directory(folder / "model");
  const auto path = folder / "model";
  for (const std::string& name :
       {std::string("../outside.safetensors"), (folder / "outside.safetensors").string(), std::string(".."),
        std::string(""), std::string(".hidden"), std::string("x/../../outside.safetensors"),
        std::string("a\\b"), std::string("C:evil"), std::string("nul\0.safetensors", 16),
        std::string(300, 'n')}) {
    save_index(path, {{"a", name}});
    says(refusal(path), "only bare names of files in the folder are allowed");
  }
}

TEST(Weights, A20_LinksAreFollowedButMustLeadToSafetensors) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "model");
  save(folder / "blob", {{"a", 1}});
  std::ofstream(folder / "secret") << "root:x:0:0 and more than eight bytes";
  const auto link = folder / "model/model.safetensors";
  std::filesystem::create_symlink("../blob", link);
  EXPECT_EQ(Weights::open(folder / "model").names(), std::vector<std::string>{"a"});
  std::filesystem::remove(link);
  std::filesystem::create_symlink("../secret", link);
  const std::string message = refusal(folder / "model");
  EXPECT_EQ(message.find("root"), std::string::npos) << message;  // nothing of the file is shown
  std::filesystem::remove(link);
  std::filesystem::create_symlink("/dev/zero", link);
  says(refusal(folder / "model"), "is a pipe or device");
}

TEST(Weights, A20_IndexThatIsMalformed) {
  const ScratchFolder folder;
  const auto with = [&](const char* text) {
    write_atomically(folder / "model.safetensors.index.json", text);
    return refusal(folder.path());
  };
  says(with("{}"), "has no \"weight_map\"");
  says(with("[]"), "an object was expected");
  says(with("{\"weight_map\":{\"a\":1}}"), "weight_map.a: is 1, but a text was expected");
  says(with("{\"weight_map\":{\"a\":\"f\",\"a\":\"g\"}}"), "gives the key \"a\" twice");
  says(with("{\"weight_map\":"), "is not valid JSON");
}

TEST(Weights, D07_D09_PickledAndForeignWeightsAreRefusedWithTheWayOut) {
  for (const auto& [name, what] : {std::pair{"pytorch_model.bin", "pickled weights, which can run code"},
                                   {"model.pt", "pickled weights"},
                                   {"data.pkl", "pickled weights"},
                                   {"tf_model.h5", "Keras weights"},
                                   {"model.gguf", "a GGUF file"}}) {
    const ScratchFolder folder;
    write_atomically(folder / "config.json", "{}");
    write_atomically(folder / name, "x");
    const std::string message = refusal(folder.path());
    says(message, std::string("has no model.safetensors; its ") + name + " is " + what);
    says(message, "safetensors");
    says(refusal(folder / name), what);  // the file itself, where a folder belongs
  }
}

TEST(Weights, D08_FoldersThatAreNoModel) {
  const ScratchFolder folder;
  says(refusal(folder / "none"), "there is no such folder");
  says(refusal(folder.path()), "is empty");
  write_atomically(folder / "note.txt", "x");
  says(refusal(folder.path()), "has no model.safetensors; is it the folder of a model?");
  says(refusal(folder / "note.txt"), "is a file, but a model is a folder");
  std::filesystem::create_symlink("loop", folder / "loop");
  says(refusal(folder / "loop"), "Too many levels of symbolic links");
  std::filesystem::create_symlink("model.safetensors", folder / "model.safetensors");
  says(refusal(folder.path()), "Too many levels of symbolic links");
}

TEST(Weights, D08_UnreadableFolder) {
  test::DeniedFiles unreadable("m");
  EXPECT_EQ(message_of(Error::Kind::model, [&] { Weights::open("m", unreadable); }),
            "m/model.safetensors: may not be read: Permission denied; check its permissions");
}

}  // namespace
}  // namespace fovea::formats

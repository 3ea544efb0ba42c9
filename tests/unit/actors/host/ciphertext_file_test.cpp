#include "actors/host/ciphertext_file.hpp"

#include "tests/unit/actors/host/ciphertexts.hpp"
#include "tests/unit/actors/host/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace custos::host {

namespace {

namespace fs = std::filesystem;
using test::make_ciphertext;
using test::temporary_folder;
using test::text_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t entries_of(const temporary_folder& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

TEST(ciphertext_file_test, tells_provider_key_and_context) {
  const temporary_folder folder;
  const auto path = folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1", "volume 3")));
  static_cast<void>(folder.write("a.ckek.context", "volume 3"));
  const auto read = read_ciphertext_file(path);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->provider, "disk");
  EXPECT_EQ(read->primary_key_id, "key-1");
  EXPECT_EQ(text_of(read->context), "volume 3");
  const auto plain = folder.write("b.ckek", text_of(make_ciphertext("disk", "key-1")));
  EXPECT_TRUE(read_ciphertext_file(plain)->context.empty());
}

TEST(ciphertext_file_test, names_the_file_that_cannot_be_read) {
  const temporary_folder folder;
  auto damaged = make_ciphertext("disk", "key-1");
  damaged.pop_back();
  const auto path = folder.write("a.ckek", text_of(damaged));
  const auto read = read_ciphertext_file(path);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, errc::malformed);
  EXPECT_THAT(read.failure().message, HasSubstr(path.string()));
  EXPECT_EQ(read_ciphertext_file(folder / "b.ckek").failure().code, errc::not_found);
  const auto large = folder.write("c.ckek", std::string(kek_ciphertext_bytes_max + 1, 'x'));
  EXPECT_EQ(read_ciphertext_file(large).failure().code, errc::too_large);
}

TEST(ciphertext_file_test, follows_no_link_and_waits_for_no_pipe) {
  const temporary_folder folder;
  const auto real = folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1")));
  fs::create_symlink(real, folder / "link.ckek");
  EXPECT_EQ(read_ciphertext_file(folder / "link.ckek").failure().code, errc::io_failure);
  ASSERT_EQ(::mkfifo((folder / "pipe.ckek").c_str(), 0600), 0);
  EXPECT_EQ(read_ciphertext_file(folder / "pipe.ckek").failure().code, errc::io_failure);
}

TEST(ciphertext_file_test, replaces_whole_with_the_same_mode) {
  const temporary_folder folder;
  const auto path = folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1", "c")));
  static_cast<void>(folder.write("a.ckek.context", "c"));
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto old = read_ciphertext_file(path).value();
  const auto fresh = make_ciphertext("disk", "key-2", "c");
  ASSERT_TRUE(replace_ciphertext(old, fresh).ok());
  EXPECT_EQ(content_of(path), text_of(fresh));
  struct stat s {};
  ASSERT_EQ(::stat(path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777U, 0640U);
  EXPECT_EQ(entries_of(folder), 2U) << "nothing is left beside it";
}

TEST(ciphertext_file_test, puts_nothing_in_place_that_is_not_its_successor) {
  const temporary_folder folder;
  const auto path = folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1", "c")));
  static_cast<void>(folder.write("a.ckek.context", "c"));
  const auto old = read_ciphertext_file(path).value();
  EXPECT_EQ(replace_ciphertext(old, bytes(100, 7)).failure().code, errc::malformed);
  EXPECT_FALSE(replace_ciphertext(old, make_ciphertext("tape", "key-2", "c")).ok());
  EXPECT_FALSE(replace_ciphertext(old, make_ciphertext("disk", "key-2", "d")).ok());
  EXPECT_EQ(content_of(path), text_of(old.ciphertext));
}

TEST(ciphertext_file_test, does_not_replace_what_changed_meanwhile) {
  const temporary_folder folder;
  const auto path = folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1")));
  const auto old = read_ciphertext_file(path).value();
  const auto newer = make_ciphertext("disk", "key-1");
  static_cast<void>(folder.write("a.ckek", text_of(newer)));
  const auto replaced = replace_ciphertext(old, make_ciphertext("disk", "key-2"));
  ASSERT_FALSE(replaced.ok());
  EXPECT_EQ(replaced.failure().code, errc::revision_conflict);
  EXPECT_EQ(content_of(path), text_of(newer));
}

TEST(ciphertext_file_test, creates_over_nothing) {
  const temporary_folder folder;
  const auto made = make_ciphertext("disk", "key-1", "c");
  ASSERT_TRUE(create_ciphertext(folder / "a.ckek", made, as_bytes("c")).ok());
  EXPECT_EQ(content_of(folder / "a.ckek"), text_of(made));
  EXPECT_EQ(content_of(folder / "a.ckek.context"), "c");
  const auto again = create_ciphertext(folder / "a.ckek", bytes{1}, as_bytes("c"));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::already_exists);
  EXPECT_EQ(content_of(folder / "a.ckek"), text_of(made));
  EXPECT_EQ(content_of(folder / "a.ckek.context"), "c") << "it is the first one's";
  ASSERT_TRUE(create_ciphertext(folder / "b.ckek", made, {}).ok());
  EXPECT_FALSE(fs::exists(folder / "b.ckek.context"));
  EXPECT_EQ(entries_of(folder), 3U);
}

TEST(ciphertext_file_test, takes_no_context_that_is_another_files) {
  const temporary_folder folder;
  static_cast<void>(folder.write("a.ckek.context", "other"));
  const auto made = create_ciphertext(folder / "a.ckek", bytes{1}, as_bytes("c"));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.failure().code, errc::already_exists);
  EXPECT_FALSE(create_ciphertext(folder / "a.ckek", bytes{1}, {}).ok())
      << "it would be opened with that context";
  EXPECT_FALSE(fs::exists(folder / "a.ckek"));
  EXPECT_TRUE(create_ciphertext(folder / "a.ckek", bytes{1}, as_bytes("other")).ok());
}

TEST(ciphertext_file_test, finds_by_pattern_and_by_folder) {
  const temporary_folder folder;
  for (const auto* name : {"b.ckek", "a.ckek", "a.ckek.context", "a.ckek.new", "readme"})
    static_cast<void>(folder.write(name, "x"));
  fs::create_directory(folder / "unit");
  static_cast<void>(folder.write("unit/key.ckek", "x"));
  const auto names = [&folder](const std::vector<std::string>& patterns) {
    std::vector<std::string> out;
    const auto found = find_ciphertexts(patterns).value();
    for (const auto& p : found)
      out.push_back(fs::relative(p, folder.path()).string());
    return out;
  };
  const auto base = folder.path().string();
  EXPECT_THAT(names({base}), ElementsAre("a.ckek", "b.ckek"));
  EXPECT_THAT(names({base + "/*.ckek", base + "/a*"}), ElementsAre("a.ckek", "b.ckek"));
  EXPECT_THAT(names({base + "/*/*.ckek"}), ElementsAre("unit/key.ckek"));
  EXPECT_THAT(names({base + "/none/*.ckek"}), ElementsAre());
  EXPECT_THAT(names({base + "/readme"}), ElementsAre("readme")) << "what is named is meant";
}

TEST(ciphertext_file_test, names_a_primary_key_as_the_service_does) {
  // printf abc | sha256sum | cut -c1-32
  EXPECT_EQ(short_name_of_key("abc"), "ba7816bf8f01cfea414140de5dae2223");
}

} // namespace

} // namespace custos::host

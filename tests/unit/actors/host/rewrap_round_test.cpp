#include "actors/host/rewrap_round.hpp"

#include "actors/host/rewrap_store.hpp"
#include "tests/unit/actors/host/ciphertexts.hpp"
#include "tests/unit/actors/host/temporary_folder.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::host {

namespace {

namespace bj = boost::json;
using test::make_ciphertext;
using test::temporary_folder;
using test::text_of;
using ::testing::HasSubstr;

const std::string present = short_name_of_key("key-2");

bj::object changed(const bytes& ciphertext) {
  return {{"ciphertext", crypto::base64url(ciphertext)}, {"changed", true}};
}

std::string answer(bj::array keys) {
  return bj::serialize(bj::object{{"keys", std::move(keys)}});
}

class rewrap_round_test : public ::testing::Test {
protected:
  std::filesystem::path file(std::string_view name, const std::string& provider,
                             const std::string& key) {
    auto path = folder.write(name, text_of(make_ciphertext(provider, key)));
    paths.push_back(path);
    return path;
  }
  void begin(const std::map<std::string, std::string>& keys = {{"disk", present}}) {
    round.read(paths);
    round.plan(keys);
  }

  temporary_folder folder;
  std::vector<std::filesystem::path> paths;
  rewrap_round round;
};

TEST_F(rewrap_round_test, asks_for_what_is_under_another_key_only) {
  file("a.ckek", "disk", "key-1");
  file("b.ckek", "disk", "key-2");
  begin();
  EXPECT_EQ(round.files(), 2U);
  EXPECT_EQ(round.pending(), 1U);
  const auto* const batch = round.next();
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(batch->provider, "disk");
  ASSERT_EQ(batch->files.size(), 1U);
  EXPECT_EQ(batch->files[0].path, paths[0]);
  auto o = json::parse_object(round.request_of(*batch)).value();
  EXPECT_EQ(o.array("keys", 10)->size(), 1U);
}

TEST_F(rewrap_round_test, replaces_what_was_answered) {
  const auto path = file("a.ckek", "disk", "key-1");
  begin();
  const auto fresh = make_ciphertext("disk", "key-2");
  round.answered(answer(bj::array{changed(fresh)}));
  EXPECT_EQ(round.next(), nullptr);
  EXPECT_EQ(round.rewrapped(), 1U);
  EXPECT_EQ(round.pending(), 0U);
  EXPECT_TRUE(round.problems().empty());
  EXPECT_EQ(read_ciphertext_file(path)->ciphertext, fresh);
}

TEST_F(rewrap_round_test, reports_a_damaged_file_and_leaves_it_alone) {
  paths.push_back(folder.write("a.ckek", "CKEK is not all"));
  file("b.ckek", "disk", "key-2");
  begin();
  EXPECT_EQ(round.next(), nullptr);
  ASSERT_EQ(round.problems().size(), 1U);
  EXPECT_EQ(round.problems()[0].file, paths[0].string());
  EXPECT_THAT(round.problems()[0].message, HasSubstr("a.ckek"));
  EXPECT_EQ(round.pending(), 0U);
}

TEST_F(rewrap_round_test, keeps_going_when_one_key_is_refused) {
  const auto bad = file("a.ckek", "disk", "key-1");
  const auto good = file("b.ckek", "disk", "key-1");
  const auto before = read_ciphertext_file(bad)->ciphertext;
  begin();
  const auto fresh = make_ciphertext("disk", "key-2");
  round.answered(answer(bj::array{
      bj::object{{"error", bj::object{{"detail", "it does not decrypt"}}}}, changed(fresh)}));
  EXPECT_EQ(round.rewrapped(), 1U);
  EXPECT_EQ(round.pending(), 1U);
  ASSERT_EQ(round.problems().size(), 1U);
  EXPECT_THAT(round.problems()[0].message, HasSubstr("it does not decrypt"));
  EXPECT_EQ(read_ciphertext_file(bad)->ciphertext, before);
  EXPECT_EQ(read_ciphertext_file(good)->ciphertext, fresh);
}

TEST_F(rewrap_round_test, writes_nothing_that_it_did_not_ask_for) {
  const auto path = file("a.ckek", "disk", "key-1");
  const auto before = read_ciphertext_file(path)->ciphertext;
  begin();
  round.answered(answer(bj::array{changed(make_ciphertext("tape", "key-2"))}));
  EXPECT_EQ(round.problems().size(), 1U);
  EXPECT_EQ(round.rewrapped(), 0U);
  EXPECT_EQ(read_ciphertext_file(path)->ciphertext, before);
}

TEST_F(rewrap_round_test, counts_an_answer_that_is_none_for_each_file) {
  file("a.ckek", "disk", "key-1");
  file("b.ckek", "disk", "key-1");
  begin();
  round.answered(answer(bj::array{changed(make_ciphertext("disk", "key-2"))}));
  EXPECT_EQ(round.problems().size(), 2U);
  EXPECT_EQ(round.next(), nullptr);
}

TEST_F(rewrap_round_test, waits_for_nodes_that_do_not_know_of_the_new_key_yet) {
  const auto path = file("a.ckek", "disk", "key-1");
  const auto before = read_ciphertext_file(path)->ciphertext;
  begin();
  auto same = changed(before);
  same["changed"] = false;
  round.answered(answer(bj::array{same}));
  EXPECT_EQ(round.pending(), 1U);
  EXPECT_EQ(round.rewrapped(), 0U);
  EXPECT_TRUE(round.problems().empty());
}

TEST_F(rewrap_round_test, tells_of_providers_that_the_host_may_not_use) {
  file("a.ckek", "tape", "key-1");
  begin();
  ASSERT_EQ(round.problems().size(), 1U);
  EXPECT_THAT(round.problems()[0].message, HasSubstr("tape"));
}

TEST_F(rewrap_round_test, keeps_batches_within_their_limits_and_of_one_provider) {
  for (std::size_t i = 0; i < rewrap_keys_max + 1; ++i)
    file("a" + std::to_string(i) + ".ckek", "disk", "key-1");
  file("b.ckek", "tape", "key-1");
  begin({{"disk", present}, {"tape", present}});
  std::map<std::string, std::vector<std::size_t>> sizes;
  while (const auto* const batch = round.next()) {
    for (const auto& f : batch->files)
      EXPECT_EQ(f.provider, batch->provider);
    sizes[batch->provider].push_back(batch->files.size());
    round.refused();
  }
  EXPECT_THAT(sizes["disk"], ::testing::UnorderedElementsAre(rewrap_keys_max, 1));
  EXPECT_THAT(sizes["tape"], ::testing::ElementsAre(1));
  EXPECT_EQ(round.pending(), rewrap_keys_max + 2);
}

TEST(rewrap_store_test, keeps_its_totals_or_says_that_they_are_damaged) {
  const auto store = rocksdb::make_memory_store();
  EXPECT_EQ(load_rewrap_totals(*store)->rewrapped, 0U);
  ASSERT_TRUE(save_rewrap_totals(*store, {1'800'000'000, 7}).ok());
  const auto kept = load_rewrap_totals(*store);
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->last_rewrap, 1'800'000'000);
  EXPECT_EQ(kept->rewrapped, 7U);
  rocksdb::write_batch damage;
  damage.put("rewrap", std::string_view("{}"));
  ASSERT_TRUE(store->write(damage).ok());
  EXPECT_EQ(load_rewrap_totals(*store).failure().code, errc::corrupted);
}

} // namespace

} // namespace custos::host

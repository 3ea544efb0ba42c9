#include "cluster/state_image.hpp"

#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using testing::HasSubstr;

config_command put(object_kind kind, const std::string& name, const std::string& document,
                   const std::string& id) {
  config_command out;
  out.kind = kind;
  out.name = name;
  out.document = document;
  out.operation_id = id;
  return out;
}

class state_image : public testing::Test {
protected:
  state_image() {
    enter(put(object_kind::principal, "admin", R"({"role":"administrator"})", "op-1"));
    enter(put(object_kind::endorsement_key, "ek",
              R"({"spki_sha256":")" + std::string(64, 'a') + "\"}", "op-2"));
    enter(put(object_kind::host, "h", R"({"ek_spki_sha256":")" + std::string(64, 'b') + "\"}",
              "op-3"));
    enter(put(object_kind::settings, "settings", R"({"token_life_s":600})", "op-4"));
    enter(put(object_kind::principal, "admin", R"({"role":"auditor"})", "op-5")); // refused
    enter(put(object_kind::denial, "d", R"({"manufacturer":"id:1","reason":"x"})", "op-6"));
    enter(put(object_kind::denial, "c", R"({"manufacturer":"id:2","reason":"x"})", "op-7"));
    state.set_applied(1000);
  }
  void enter(const config_command& c) { state.commit(state.judge({c, 0}, 1)); }

  /// As if somebody had made it so.
  static bytes with_checksum(bytes image) {
    image.resize(image.size() - 32);
    const auto checksum = crypto::sha256(image);
    image.insert(image.end(), checksum.begin(), checksum.end());
    return image;
  }
  static std::size_t position_of(const bytes& image, std::string_view text) {
    const auto at = as_text(image).find(text);
    EXPECT_NE(at, std::string_view::npos);
    return at;
  }
  static void expect_corrupted(const bytes& image, const std::string& what) {
    const auto read = decode_state(image);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.failure().code, errc::corrupted);
    EXPECT_THAT(read.failure().message, HasSubstr(what));
  }

  config_state state;
};

} // namespace

TEST_F(state_image, comes_back_as_it_was) {
  const auto image = encode_state(state);
  const auto read = decode_state(image);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->state_hash(), state.state_hash());
  EXPECT_EQ(read->fingerprint(), state.fingerprint());
  EXPECT_EQ(read->revision(), state.revision());
  EXPECT_EQ(read->applied_index(), 1000U);
  EXPECT_EQ(read->operations().size(), 7U);
  EXPECT_EQ(encode_state(*read), image);
  const auto shown = read->snapshot();
  EXPECT_EQ(shown->settings.token_life_s, 600U);
  EXPECT_EQ(shown->hosts.at("h").ek_spki_sha256, bytes(32, 0xBB));
  EXPECT_EQ(shown->denials.size(), 2U);
}

TEST_F(state_image, goes_on_as_the_original_does) {
  auto read = *decode_state(encode_state(state));
  const auto refused = put(object_kind::principal, "admin", R"({"role":"auditor"})", "op-5");
  const auto again = read.judge({refused, 0}, 1001);
  ASSERT_TRUE(again.refusal.has_value());
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.refusal->code, errc::forbidden);
  const auto taken = put(object_kind::host, "other",
                         R"({"ek_spki_sha256":")" + std::string(64, 'b') + "\"}", "op-8");
  const auto change = read.judge({taken, 0}, 1001);
  ASSERT_TRUE(change.refusal.has_value()) << "the key is bound to h";
  read.commit(change);
  enter(taken);
  EXPECT_EQ(read.state_hash(), state.state_hash());
}

TEST_F(state_image, of_the_first_state) {
  const config_state first;
  const auto read = decode_state(encode_state(first));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->state_hash(), first.state_hash());
}

TEST_F(state_image, does_not_tell_the_way_to_a_state) {
  config_state a;
  config_state b;
  for (const auto* name : {"x", "y", "z"})
    a.commit(*a.plan(put(object_kind::principal, name, R"({"role":"auditor"})", "")));
  for (const auto* name : {"z", "x", "y"})
    b.commit(*b.plan(put(object_kind::principal, name, R"({"role":"auditor"})", "")));
  EXPECT_EQ(encode_state(a), encode_state(b));
}

TEST_F(state_image, is_refused_with_any_octet_changed) {
  const auto image = encode_state(state);
  for (std::size_t i = 0; i < image.size(); ++i) {
    auto damaged = image;
    damaged[i] ^= 1U;
    const auto read = decode_state(damaged);
    ASSERT_FALSE(read.ok()) << i;
    EXPECT_EQ(read.failure().code, i == 8 ? errc::unsupported : errc::corrupted) << i;
  }
}

TEST_F(state_image, is_refused_when_cut_or_longer) {
  const auto image = encode_state(state);
  for (std::size_t n = 0; n < image.size(); n += 7)
    expect_corrupted(bytes(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(n)), "image");
  auto longer = image;
  longer.resize(image.size() + 1);
  expect_corrupted(with_checksum(longer), "nothing behind it");
}

TEST_F(state_image, is_verified_beyond_its_checksum) {
  const auto image = encode_state(state);
  // Anything with a good checksum and one octet of the content changed.
  for (std::size_t i = 9; i < image.size() - 32; ++i) {
    auto other = image;
    other[i] ^= 1U;
    const auto read = decode_state(with_checksum(other));
    // The applied index is all that nothing else vouches for, and the words of a refusal.
    const bool free = i < 17 || (i >= position_of(image, "admin is the last") &&
                                 i < position_of(image, "make another one first") + 22);
    ASSERT_EQ(read.ok(), free) << i;
    if (!free) {
      EXPECT_EQ(read.failure().code, errc::corrupted) << i;
    }
  }
}

TEST_F(state_image, holds_each_object_once_and_in_order) {
  auto image = encode_state(state);
  const auto denial =
      position_of(image, "id:2") - std::string_view("xxxxxx{\"manufacturer\":\"").size();
  ASSERT_EQ(image[denial], 1U);
  image[denial + 1] = 'd';
  expect_corrupted(with_checksum(image), "one that comes after");
  image[denial + 1] = 'e';
  expect_corrupted(with_checksum(image), "one that comes after");
}

TEST_F(state_image, needs_settings) {
  auto image = encode_state(state);
  const auto name = position_of(image, "\x08settings");
  const auto end = position_of(image, "}\x05"); // the kind after it
  image[name - 1] = 0;
  image.erase(image.begin() + static_cast<std::ptrdiff_t>(name),
              image.begin() + static_cast<std::ptrdiff_t>(end) + 1);
  expect_corrupted(with_checksum(image), "no settings");
}

} // namespace custos::cluster

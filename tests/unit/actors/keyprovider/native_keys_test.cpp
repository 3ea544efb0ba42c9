#include "actors/keyprovider/native_keys.hpp"

#include <gtest/gtest.h>
#include <map>

namespace custos::keyprovider {

namespace {

/// Seals by remembering; what was sealed opens under its label only.
class sealing_double {
public:
  seal_function seals() {
    return [this](const crypto::secret_bytes& secret,
                  std::string_view label) -> result<sealed_secret> {
      const auto number = static_cast<std::uint8_t>(held_.size() + 1);
      held_[number] = {to_bytes(secret.reveal_secret()), std::string(label)};
      return sealed_secret{bytes{number}};
    };
  }
  unseal_function opens() {
    return [this](const sealed_secret& sealed,
                  std::string_view label) -> result<crypto::secret_bytes> {
      ++opened;
      const auto found = held_.find(sealed.sealed.at(0));
      if (found == held_.end() || found->second.second != label)
        return make_error(errc::crypto_failure, "does not open");
      return crypto::secret_bytes(found->second.first);
    };
  }
  void forget() { held_.clear(); }
  int opened = 0;

private:
  std::map<std::uint8_t, std::pair<bytes, std::string>> held_;
};

class native_keys_test : public testing::Test {
protected:
  native_keys_test() {
    p.name = "lab";
    p.type = provider_type::native;
    add(true);
    p.primary_key_id = p.primary_keys.front().id;
  }
  const std::string& add(bool backed_up) {
    auto made = make_native_key("lab", sealing.seals(), 1000);
    EXPECT_TRUE(made.ok());
    made->backed_up = backed_up;
    p.primary_keys.push_back(*made);
    return p.primary_keys.back().id;
  }
  std::string check_of(const std::string& id, key_use use) const {
    const auto out = keys.use(id, use);
    return out.ok() ? "" : out.failure().check;
  }

  sealing_double sealing;
  key_provider p;
  native_keys keys{sealing.opens()};
};

} // namespace

TEST_F(native_keys_test, are_fresh_and_named_by_what_they_are) {
  const auto a = p.primary_keys.front();
  const auto b = add(false);
  EXPECT_NE(a.id, b);
  EXPECT_EQ(a.id.size(), 32U);
  EXPECT_EQ(a.created, 1000);
  const auto opened = sealing.opens()(a.key, "key-provider/lab/primary-key/" + a.id);
  ASSERT_TRUE(opened.ok()) << opened.failure().message;
  EXPECT_EQ(opened->size(), 32U);
  EXPECT_EQ(native_key_id(*opened), a.id);
  // SHA-256("custos-native-key-v1" || 32 zero octets): stored with every native provider.
  EXPECT_EQ(native_key_id(crypto::secret_bytes(32)), "d9f98bf5307ee3ca87f4e829701d6508");
}

TEST_F(native_keys_test, protect_only_once_they_are_in_a_backup) {
  const auto fresh = add(false);
  keys.follow(p);
  EXPECT_TRUE(keys.use(p.primary_key_id, key_use::protect).ok());
  EXPECT_EQ(*keys.state(p.primary_key_id), "Active");
  EXPECT_EQ(check_of(fresh, key_use::protect), "primary-key-not-backed-up");
  EXPECT_EQ(keys.use(fresh, key_use::protect).failure().code, errc::forbidden);
  EXPECT_TRUE(keys.use(fresh, key_use::process).ok()) << "what is there can be opened";
  EXPECT_EQ(*keys.state(fresh), "Pre-Active");
  p.primary_keys.back().backed_up = true;
  keys.follow(p);
  EXPECT_TRUE(keys.use(fresh, key_use::protect).ok());
}

TEST_F(native_keys_test, go_with_the_object) {
  const auto old = add(true);
  keys.follow(p);
  const std::weak_ptr<const crypto::secret_bytes> held = *keys.use(old, key_use::process);
  EXPECT_FALSE(held.expired());
  p.primary_keys.pop_back();
  keys.follow(p);
  EXPECT_TRUE(held.expired()) << "wiped";
  EXPECT_EQ(check_of(old, key_use::process), "primary-key-unknown");
  EXPECT_EQ(keys.use(old, key_use::process).failure().code, errc::not_found);
  EXPECT_EQ(keys.state("nothing").failure().code, errc::not_found);
}

TEST_F(native_keys_test, are_opened_once_however_they_are_sealed) {
  keys.follow(p);
  const int before = sealing.opened;
  keys.follow(p);
  p.primary_keys.front().key = {bytes{99}}; // another data key
  keys.follow(p);
  EXPECT_EQ(sealing.opened, before);
  EXPECT_TRUE(keys.use(p.primary_key_id, key_use::protect).ok());
}

TEST_F(native_keys_test, that_do_not_open_are_tried_again) {
  const auto good = p.primary_keys.front().key;
  p.primary_keys.front().key = {bytes{99}};
  keys.follow(p);
  const auto refused = keys.use(p.primary_key_id, key_use::process);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, errc::unavailable);
  EXPECT_NE(refused.failure().message.find("does not open"), std::string::npos);
  EXPECT_FALSE(keys.state(p.primary_key_id).ok());
  p.primary_keys.front().key = good;
  keys.follow(p);
  EXPECT_TRUE(keys.use(p.primary_key_id, key_use::protect).ok());
}

TEST_F(native_keys_test, that_are_others_than_they_say_are_not_used) {
  // Sealed for this very label by somebody who could: still another key.
  const auto label = primary_key_label("lab", p.primary_key_id);
  p.primary_keys.front().key = *sealing.seals()(crypto::random_secret(32), label);
  keys.follow(p);
  EXPECT_NE(keys.use(p.primary_key_id, key_use::process).failure().message.find("another key"),
            std::string::npos);
  p.primary_keys.front().key = *sealing.seals()(crypto::random_secret(16), label);
  keys.follow(p);
  EXPECT_FALSE(keys.use(p.primary_key_id, key_use::process).ok());
}

TEST_F(native_keys_test, are_not_made_when_they_cannot_be_sealed) {
  const auto made = make_native_key(
      "lab",
      [](const crypto::secret_bytes&, std::string_view) -> result<sealed_secret> {
        return make_error(errc::crypto_failure, "no");
      },
      1);
  EXPECT_FALSE(made.ok());
}

} // namespace custos::keyprovider

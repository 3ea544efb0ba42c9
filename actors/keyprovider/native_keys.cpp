#include "actors/keyprovider/native_keys.hpp"

#include "adapters/crypto/crypto.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace custos::keyprovider {

namespace {

constexpr std::string_view id_label = "custos-native-key-v1";
constexpr std::size_t id_bytes = 16;

error refusal(errc code, std::string_view check, std::string message) {
  auto e = make_error(code, std::move(message));
  e.check = check;
  return e;
}

} // namespace

std::string native_key_id(const crypto::secret_bytes& key) {
  std::array<std::uint8_t, 32> digest{};
  crypto::digest_into(crypto::hash_alg::sha256, {as_bytes(id_label), key.reveal_secret()}, digest);
  return crypto::hex(byte_view(digest).first(id_bytes));
}

std::string primary_key_label(std::string_view provider, std::string_view id) {
  return std::string("key-provider/").append(provider).append("/primary-key/").append(id);
}

result<native_key> make_native_key(std::string_view provider, const seal_function& seal,
                                   std::int64_t now) {
  const auto key = crypto::random_secret(native_key_bytes);
  native_key out;
  out.id = native_key_id(key);
  out.created = std::max<std::int64_t>(now, 1);
  CUSTOS_TRY(out.key, seal(key, primary_key_label(provider, out.id)));
  return out;
}

result<crypto::secret_ptr> native_keys::open(std::string_view provider,
                                             const native_key& key) const {
  CUSTOS_TRY(auto opened, unseal_(key.key, primary_key_label(provider, key.id)));
  // Sealed by a node or not: what the object says must be what it holds.
  if (opened.size() != native_key_bytes || native_key_id(opened) != key.id)
    return make_error(errc::crypto_failure, "it holds another key than it says");
  return crypto::secret_ptr(std::make_shared<const crypto::secret_bytes>(std::move(opened)));
}

void native_keys::follow(const key_provider& provider) {
  provider_ = provider.name;
  auto before = std::exchange(keys_, {});
  for (const auto& key : provider.primary_keys) {
    auto& now = keys_[key.id];
    now.backed_up = key.backed_up;
    // Its id says which key it is, so that one that was opened stays good however it is sealed.
    if (const auto known = before.find(key.id); known != before.end() && known->second.key) {
      now.key = known->second.key;
      continue;
    }
    auto opened = open(provider.name, key);
    if (opened)
      now.key = *std::move(opened);
    else
      now.problem = opened.failure().message;
  }
}

result<crypto::secret_ptr> native_keys::use(const std::string& id, key_use use) const {
  const auto found = keys_.find(id);
  if (found == keys_.end())
    return refusal(errc::not_found, "primary-key-unknown",
                   "native provider " + provider_ + " has no primary key " + id);
  if (!found->second.key)
    return make_error(errc::unavailable,
                      "primary key " + id + " cannot be opened: " + found->second.problem);
  if (use == key_use::protect && !found->second.backed_up)
    return refusal(errc::forbidden, "primary-key-not-backed-up",
                   "primary key " + id + " of native provider " + provider_ +
                       " is in no backup that was confirmed; it protects nothing before");
  return found->second.key;
}

result<std::string> native_keys::state(const std::string& id) const {
  if (const auto usable = use(id, key_use::protect); usable)
    return std::string("Active");
  CUSTOS_CHECK([&]() -> result<void> {
    if (auto opens = use(id, key_use::process); !opens)
      return std::move(opens).failure();
    return {};
  }());
  return std::string("Pre-Active");
}

} // namespace custos::keyprovider

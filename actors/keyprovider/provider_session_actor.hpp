#pragma once
// What the Key Provider Service holds of one provider: its KMIP group, what that server can, and
// the primary keys fetched from it. No actor itself: part of the key provider actor, used only on
// that actor's turn. Every `done` is called exactly once, on that turn or at once.

#include "actors/keyprovider/primary_keys.hpp"
#include "messages/clock.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace custos::keyprovider {

/// The key provider actor's own interface: ticks and posted work are its messages to itself.
using key_provider_self =
    key_provider_api::extend<caf::reacts_to<tick>, caf::reacts_to<posted_work>>;

struct session_limits {
  std::size_t primary_keys_max = 64;
  std::uint32_t primary_key_age_s_max = 900;
  std::uint32_t primary_key_grace_s_max = 4 * 3600;
  std::uint32_t capabilities_age_s_max = 300;
  std::uint32_t retry_after_s = 5;
};

class provider_session : public std::enable_shared_from_this<provider_session> {
public:
  template <class T>
  using done = std::function<void(result<T>)>;

  provider_session(key_provider_self::pointer self, key_provider provider, kmip_api group,
                   session_limits limits, clock_source now);

  /// Whether new keys are protected by the server (remote) or here.
  void choose_remote(primary_key_mode mode, done<bool> then);
  /// The primary key's octets: from memory while fresh, else fetched with its state; while no
  /// server answers, from memory within the grace time. Calls for one key share one fetch.
  void with_primary_key(const std::string& id, key_use use, done<crypto::secret_ptr> then);
  void encrypt(kmip::encrypt_data call, done<kmip::encrypted_data> then);
  void decrypt(kmip::decrypt_data call, done<kmip::decrypted_data> then);
  void create_key(kmip::create_key call, done<kmip::key_created> then);
  void server_status(done<std::vector<key_server_status>> then);
  void key_state(const std::string& id, done<std::string> then);

  /// Health as seen by the last question to the servers.
  [[nodiscard]] provider_status status() const { return status_; }
  [[nodiscard]] const key_provider& provider() const { return provider_; }
  [[nodiscard]] const kmip_api& group() const { return group_; }
  /// Wipes keys that may not be used any more.
  void sweep() { keys_.sweep(now_()); }
  /// Ends the group; whoever waits is told that the configuration changed.
  void stop();

private:
  struct waiter {
    key_use use;
    done<crypto::secret_ptr> then;
  };

  template <class Answer, class Call>
  void ask(Call call, done<Answer> then);
  error judged(const caf::error& e);
  void fetch(const std::string& id);
  void fetched(const std::string& id, result<primary_key> outcome);
  void hand_over(const std::string& id, const primary_key& key, const waiter& to);

  key_provider_self::pointer self_;
  key_provider provider_;
  kmip_api group_;
  session_limits limits_;
  clock_source now_;
  primary_key_cache keys_;
  std::unordered_map<std::string, std::vector<waiter>> fetching_;
  std::optional<bool> can_encrypt_;
  std::int64_t can_encrypt_known_ = 0; ///< when it was learned, unix seconds
  provider_status status_;
  bool stopped_ = false;
};

} // namespace custos::keyprovider

#pragma once
// What the Key Provider Service holds of one provider: its KMIP group, what that server can, and
// the primary keys fetched from it; of a native provider, its primary keys. No actor itself: part
// of the key provider actor, used only on that actor's turn. Every `done` is called exactly once,
// on that turn or at once.
//
// Where the client certificate is to be changed there are two groups, one with each certificate.
// Which is used follows from trials alone: the next one as soon as the servers take it, and the
// other one again should they not any more.

#include "actors/keyprovider/native_keys.hpp"
#include "actors/keyprovider/primary_keys.hpp"
#include "messages/clock.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
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

/// Starts and monitors the KMIP group of a provider.
using group_spawner = std::function<result<kmip_api>(const key_provider&)>;

class provider_session : public std::enable_shared_from_this<provider_session> {
public:
  template <class T>
  using done = std::function<void(result<T>)>;

  provider_session(key_provider_self::pointer self, key_provider provider, kmip_api group,
                   group_spawner spawn, session_limits limits, clock_source now);
  /// Of a native provider.
  provider_session(key_provider_self::pointer self, key_provider provider, unseal_function unseal,
                   session_limits limits, clock_source now);

  /// Takes over what is configured now, if this session can go on with it; keys in memory stay.
  /// False: another session has to take its place.
  bool follow(const key_provider& configured, const session_limits& limits);
  /// To be called when it has begun and from time to time: tries the next client certificate,
  /// wipes keys that may not be used any more.
  void look_around();
  /// What the servers say to the next client certificate, now; empty if there is none. Which of
  /// the two is used from then on follows from it.
  void try_next(done<std::vector<key_server_status>> then);
  /// "current" or "next": the client certificate that is used; empty without any.
  [[nodiscard]] std::string certificate_in_use() const;
  /// A group that ended: true if it was this session's only one, which is then of no use.
  bool lost(const caf::actor_addr& gone);

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
  /// Ends the groups; whoever waits is told that the configuration changed.
  void stop();

private:
  struct waiter {
    key_use use;
    done<crypto::secret_ptr> then;
  };

  [[nodiscard]] const kmip_api& target() const { return use_next_ ? next_group_ : group_; }
  [[nodiscard]] std::chrono::milliseconds budget() const;
  template <class Answer, class Call>
  void ask(Call call, done<Answer> then);
  void promote();
  void end_groups(bool all);
  void begin_next();
  void end_next();
  void judge_next(const std::vector<key_server_status>& servers);
  void native_status();
  error judged(const caf::error& e);
  void fetch(const std::string& id);
  void fetched(const std::string& id, result<primary_key> outcome);
  void hand_over(const std::string& id, const primary_key& key, const waiter& to);

  key_provider_self::pointer self_;
  key_provider provider_;
  kmip_api group_;        ///< null of a native provider
  kmip_api next_group_;   ///< with the next client certificate; null without one
  bool use_next_ = false; ///< never without next_group_
  struct ending_group {
    kmip_api group;
    std::int64_t until = 0; ///< unix seconds: then nothing can be in its hands any more
  };
  std::vector<ending_group> ending_;
  group_spawner spawn_;
  std::unique_ptr<native_keys> native_; ///< null of a provider on key servers
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

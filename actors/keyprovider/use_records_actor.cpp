#include "actors/keyprovider/use_records_actor.hpp"

#include "adapters/crypto/crypto.hpp"

#include <charconv>
#include <chrono>
#include <utility>

namespace custos::keyprovider {

namespace {

// In the store:
//   key-uses-since            when counting began, unix seconds, decimal
//   key-use/PROVIDER/DIGEST   one primary key (encode_uses); DIGEST is SHA-256 of its id, in hex
constexpr std::string_view since_key = "key-uses-since";
constexpr std::string_view use_prefix = "key-use/";

std::string key_of(const primary_key_uses& u) {
  return std::string(use_prefix) + u.provider + "/" +
         crypto::hex(crypto::sha256(as_bytes(u.primary_key_id)));
}

result<std::int64_t> since_of(rocksdb::kv_store& store, std::int64_t now) {
  CUSTOS_TRY(const auto stored, store.get(since_key));
  if (!stored) {
    rocksdb::write_batch batch;
    batch.put(std::string(since_key), std::to_string(now));
    CUSTOS_CHECK(store.write(batch));
    return now;
  }
  const auto text = as_text(*stored);
  std::int64_t since = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), since);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
    return make_error(errc::corrupted, "uses of primary keys: since when is not a number");
  return since;
}

class use_records_actor : public use_records_api::base {
public:
  use_records_actor(caf::actor_config& cfg, use_records_dependencies given)
      : use_records_api::base(cfg), given_(std::move(given)) {
    set_default_handler(caf::drop);
    set_exit_handler([this](caf::exit_msg& message) {
      flush();
      quit(std::move(message.reason));
    });
  }
  const char* name() const override { return "use_records"; }

  use_records_api::behavior_type make_behavior() override {
    wait();
    return {
        [this](const tick&) {
          flush();
          wait();
        },
        [this](const drain&) {
          flush();
          return drained{};
        },
    };
  }

private:
  void wait() { delayed_send(this, std::chrono::seconds(uses_written_every_s), tick{}); }

  void flush() {
    const auto changed = given_.uses->take_changed();
    if (changed.empty())
      return;
    rocksdb::write_batch batch;
    for (const auto& one : changed)
      batch.put(key_of(one), encode_uses(one));
    const auto written = given_.store->write(batch);
    if (written)
      return;
    given_.uses->changed_again(changed);
    if (given_.complain)
      given_.complain(written.failure());
  }

  use_records_dependencies given_;
};

} // namespace

result<std::shared_ptr<use_table>> load_uses(rocksdb::kv_store& store, std::int64_t now) {
  CUSTOS_TRY(const auto since, since_of(store, now));
  auto table = std::make_shared<use_table>(since);
  CUSTOS_TRY(const auto entries, store.scan(use_prefix));
  for (const auto& entry : entries) {
    CUSTOS_TRY(auto uses, decode_uses(as_text(entry.value)));
    table->restore(std::move(uses));
  }
  return table;
}

use_records_api spawn_use_records(caf::actor_system& system, use_records_dependencies given) {
  return system.spawn<use_records_actor, caf::detached>(std::move(given));
}

use_records_api spawn_use_records_scheduled(caf::actor_system& system,
                                            use_records_dependencies given) {
  return system.spawn<use_records_actor>(std::move(given));
}

} // namespace custos::keyprovider

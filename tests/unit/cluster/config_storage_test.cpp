#include "cluster/config_storage.hpp"

#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"

#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using testing::HasSubstr;

config_command put_principal(const std::string& name, std::string id = {}) {
  config_command out;
  out.kind = object_kind::principal;
  out.name = name;
  out.document = R"({"role":"auditor"})";
  out.operation_id = std::move(id);
  return out;
}

void run(rocksdb::kv_store& store, config_state& state, const config_command& command) {
  const auto change = state.plan(command);
  ASSERT_TRUE(change.ok()) << change.failure().message;
  rocksdb::write_batch batch;
  add_changes(batch, state, *change);
  state.commit(*change);
  add_head(batch, state);
  ASSERT_TRUE(store.write(batch).ok());
}

class config_storage : public testing::Test {
protected:
  config_storage() : store(rocksdb::make_memory_store()) {
    rocksdb::write_batch batch;
    add_everything(batch, state);
    EXPECT_TRUE(store->write(batch).ok());
    run(*store, state, put_principal("a", "op-a"));
    run(*store, state, put_principal("b"));
    config_command host;
    host.kind = object_kind::host;
    host.name = "h";
    host.document = R"({"ek_spki_sha256":")" + std::string(64, 'a') + "\"}";
    run(*store, state, host);
  }
  void overwrite(const std::string& key, std::string_view value) {
    rocksdb::write_batch batch;
    batch.put(key, value);
    ASSERT_TRUE(store->write(batch).ok());
  }
  void remove(const std::string& key) {
    rocksdb::write_batch batch;
    batch.erase(key);
    ASSERT_TRUE(store->write(batch).ok());
  }
  void expect_corrupted(const std::string& what) {
    const auto loaded = load_state(*store);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.failure().code, errc::corrupted);
    EXPECT_THAT(loaded.failure().message, HasSubstr(what));
  }

  std::shared_ptr<rocksdb::kv_store> store;
  config_state state;
};

} // namespace

TEST_F(config_storage, comes_back_as_it_was) {
  const auto loaded = load_state(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
  EXPECT_EQ(loaded->revision(), 2U);
  EXPECT_EQ(loaded->fingerprint(), state.fingerprint());
  EXPECT_EQ(loaded->state_hash(), state.state_hash());
  EXPECT_EQ(loaded->count(object_kind::host), 1U);
  ASSERT_EQ(loaded->operations().size(), 1U);
  const auto again = loaded->apply(put_principal("a", "op-a"));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->outcome.revision, 1U);
  EXPECT_EQ(again->next.revision(), 2U);
}

TEST_F(config_storage, refusals_come_back) {
  auto missing = put_principal("nobody", "op-r");
  missing.action = config_action::erase;
  missing.document.clear();
  const auto change = state.judge({missing, 0}, 7);
  ASSERT_TRUE(change.refusal.has_value());
  rocksdb::write_batch batch;
  add_changes(batch, state, change);
  state.commit(change);
  state.set_applied(7);
  add_head(batch, state);
  ASSERT_TRUE(store->write(batch).ok());
  const auto loaded = load_state(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
  EXPECT_EQ(loaded->applied_index(), 7U);
  EXPECT_EQ(loaded->state_hash(), state.state_hash());
  const auto again = loaded->judge({missing, 0}, 8);
  EXPECT_TRUE(again.repeated);
  ASSERT_TRUE(again.refusal.has_value());
  EXPECT_EQ(again.refusal->code, errc::not_found);
  EXPECT_EQ(again.refusal->message, change.refusal->message);
}

TEST_F(config_storage, entries_that_change_nothing_are_counted) {
  state.set_applied(12);
  rocksdb::write_batch batch;
  add_head(batch, state);
  EXPECT_EQ(batch.changes().size(), 1U);
  ASSERT_TRUE(store->write(batch).ok());
  EXPECT_EQ(load_state(*store)->applied_index(), 12U);
}

TEST_F(config_storage, another_state_takes_the_place_of_everything) {
  config_state other;
  other.commit(*other.plan(put_principal("z", "op-z")));
  other.set_applied(40);
  overwrite("config/stray", "what an older program left");
  overwrite("cluster/identity", "not of the configuration");
  rocksdb::write_batch batch;
  replace_everything(batch, other);
  ASSERT_TRUE(store->write(batch).ok());
  const auto loaded = load_state(*store);
  ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
  EXPECT_EQ(loaded->state_hash(), other.state_hash());
  EXPECT_EQ(loaded->applied_index(), 40U);
  EXPECT_EQ(loaded->find(object_kind::principal, "a"), nullptr);
  EXPECT_TRUE(store->get("cluster/identity")->has_value());
}

TEST_F(config_storage, erased_objects_stay_erased) {
  auto erase = put_principal("b");
  erase.action = config_action::erase;
  erase.document.clear();
  run(*store, state, erase);
  const auto loaded = load_state(*store);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->find(object_kind::principal, "b"), nullptr);
  EXPECT_EQ(loaded->fingerprint(), state.fingerprint());
}

TEST_F(config_storage, forgotten_operations_leave_the_store) {
  for (std::size_t i = 0; i < operations_remembered_max + 5; ++i)
    run(*store, state, put_principal("a", "op-" + std::to_string(i)));
  const auto loaded = load_state(*store);
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded->operations().size(), operations_remembered_max);
  EXPECT_EQ(loaded->operations().front()->operation_id, "op-5");
  EXPECT_EQ(loaded->operations().back()->sequence, state.operations().back()->sequence);
}

TEST_F(config_storage, an_empty_store_holds_none) {
  EXPECT_EQ(load_state(*rocksdb::make_memory_store()).failure().code, errc::not_found);
}

TEST_F(config_storage, notices_a_changed_object) {
  overwrite("config/object/principals/a", R"({"role":"administrator"})");
  expect_corrupted("fingerprint");
}

TEST_F(config_storage, notices_a_missing_object) {
  remove("config/object/principals/a");
  expect_corrupted("fingerprint");
}

TEST_F(config_storage, notices_an_added_object) {
  overwrite("config/object/principals/c", R"({"role":"administrator"})");
  expect_corrupted("fingerprint");
}

TEST_F(config_storage, notices_what_does_not_read) {
  overwrite("config/object/principals/a", R"({"role":"aud)");
  expect_corrupted("principals/a");
}

TEST_F(config_storage, notices_another_form) {
  overwrite("config/object/principals/a", R"({"role": "auditor"})");
  expect_corrupted("canonical");
}

TEST_F(config_storage, notices_a_damaged_host) {
  overwrite("config/object/hosts/h", "{}");
  expect_corrupted("hosts/h");
}

TEST_F(config_storage, notices_a_changed_host) {
  overwrite("config/object/hosts/h",
            R"({"ek_spki_sha256":")" + std::string(64, 'b') + R"(","quarantined":false})");
  expect_corrupted("hosts or operations");
  remove("config/object/hosts/h");
  expect_corrupted("hosts or operations");
}

TEST_F(config_storage, notices_a_missing_or_damaged_head) {
  overwrite("config/head", R"({"revision":2})");
  expect_corrupted("config/head");
  remove("config/head");
  expect_corrupted("config/head");
}

TEST_F(config_storage, notices_missing_settings) {
  remove("config/object/settings/settings");
  expect_corrupted("settings");
}

TEST_F(config_storage, notices_damaged_operations) {
  run(*store, state, put_principal("c", "op-c"));
  const std::string first = "config/operation/00000000000000000001";
  const std::string second = "config/operation/00000000000000000002";
  const auto kept = store->get(first);
  overwrite(first, "{}");
  expect_corrupted(first);
  overwrite(first, as_text(**store->get(second)));
  expect_corrupted(first);
  auto changed = **kept;
  changed.at(8 + 1 + 4) ^= 1U; // the digest of its command
  overwrite(first, as_text(changed));
  expect_corrupted("does not follow");
  overwrite(first, as_text(**kept));
  EXPECT_TRUE(load_state(*store).ok());
  const auto kept_second = store->get(second);
  remove(second);
  expect_corrupted("hosts or operations");
  overwrite(second, as_text(**kept_second));
  remove(first);
  expect_corrupted("hosts or operations");
  overwrite("config/operation/x", "{}");
  expect_corrupted("config/operation/x");
}

TEST_F(config_storage, notices_unknown_keys) {
  overwrite("config/object/robots/a", "{}");
  expect_corrupted("robots");
  remove("config/object/robots/a");
  overwrite("config/other", "{}");
  expect_corrupted("config/other");
}

} // namespace custos::cluster

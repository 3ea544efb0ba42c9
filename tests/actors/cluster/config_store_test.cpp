#include "cluster/config_store_actor.hpp"

#include "cluster/config_state.hpp"
#include "cluster/replica/wire.hpp"
#include "tests/actors/cluster/single_node.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"

#include <functional>
#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using replica::write_member_info;
using replica::test::info_of;
using testing::ElementsAre;

/// Counts writes and fails when told to; what a failed write leaves behind is chosen.
class faulty_store : public rocksdb::kv_store {
public:
  result<std::optional<bytes>> get(std::string_view key) const override { return inner->get(key); }
  result<std::vector<rocksdb::kv_entry>> scan(std::string_view prefix) const override {
    return inner->scan(prefix);
  }
  result<void> write(const rocksdb::write_batch& batch, rocksdb::durability how) override {
    synced += how == rocksdb::durability::synced ? 1 : 0;
    if (before_write)
      before_write();
    if (fail_writes) {
      if (write_anyway)
        CUSTOS_CHECK(inner->write(batch, how));
      return make_error(errc::storage_failure, "test: the disk is full");
    }
    return inner->write(batch, how);
  }

  std::shared_ptr<rocksdb::kv_store> inner = rocksdb::make_memory_store();
  int synced = 0;
  bool fail_writes = false;
  bool write_anyway = false;
  std::function<void()> before_write;
};

config_command put(const std::string& name, const std::string& role = "auditor",
                   std::string id = {}) {
  config_command out;
  out.kind = object_kind::principal;
  out.name = name;
  out.document = R"({"role":")" + role + "\"}";
  out.operation_id = std::move(id);
  return out;
}

class config_store : public custos::test::deterministic {
protected:
  config_store() { start(); }
  config_store_dependencies needs() {
    auto out = test::alone(store, cell, ticks());
    out.failed = [this](const replica_failure& f) { failures.push_back(f); };
    out.members = [this](const std::vector<link::link_member>& told) {
      members.clear();
      for (const auto& m : told)
        members.push_back(m.name);
    };
    out.leader_changed = [this](const std::string& name, raft::term_number) {
      leaders.push_back(name);
    };
    out.gauges = gauges;
    return out;
  }
  void start() {
    auto spawned = spawn_config_store_scheduled(system, needs());
    ASSERT_TRUE(spawned.ok()) << spawned.failure().message;
    actor = own(*spawned);
    advance(test::election_time);
    store->synced = 0;
  }
  void stop() {
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    run();
  }
  result<config_applied> apply(const config_command& c) { return ask<config_applied>(actor, c); }
  config_status status() {
    auto out = ask<config_status>(actor, get_config_status{});
    EXPECT_TRUE(out.ok());
    return out.ok() ? *out : config_status{};
  }
  cluster_status cluster() {
    auto out = ask<cluster_status>(actor, get_cluster_status{});
    EXPECT_TRUE(out.ok());
    return out.ok() ? *out : cluster_status{};
  }
  result<membership_changed> change(membership_action action, const std::string& name) {
    return ask<membership_changed>(actor,
                                   change_membership{action, write_member_info(info_of(name))});
  }
  /// Lays an entry behind the log of a stopped replica, as a leader would have sent it.
  void append_to_log(const bytes& command) {
    const auto found = replica::load_replica(*store).value();
    raft::write more;
    more.first = found.base.index + found.entries.size() + 1;
    more.entries.push_back({found.durable.term, raft::entry_kind::command,
                            std::make_shared<const bytes>(command), nullptr});
    rocksdb::write_batch batch;
    replica::stored_log(found).add(batch, more);
    ASSERT_TRUE(store->inner->write(batch).ok());
  }

  std::shared_ptr<faulty_store> store = std::make_shared<faulty_store>();
  std::shared_ptr<config_cell> cell = std::make_shared<config_cell>();
  std::shared_ptr<replica_gauges> gauges = std::make_shared<replica_gauges>();
  std::vector<replica_failure> failures;
  std::vector<std::string> members;
  std::vector<std::string> leaders;
  config_store_api actor;
};

} // namespace

TEST_F(config_store, begins_empty_and_says_who_it_is) {
  const auto s = status();
  EXPECT_EQ(s.revision, 0U);
  EXPECT_EQ(s.cluster_id, "cluster-1");
  EXPECT_EQ(s.node, "node-1");
  EXPECT_EQ(s.fingerprint, config_state().fingerprint());
  EXPECT_EQ(cell->load()->fingerprint, s.fingerprint);
}

TEST_F(config_store, applies_and_publishes_after_the_write) {
  std::vector<std::uint64_t> published_at_write;
  store->before_write = [&] { published_at_write.push_back(cell->load()->revision); };
  const auto applied = apply(put("alice"));
  ASSERT_TRUE(applied.ok()) << applied.failure().message;
  EXPECT_EQ(applied->revision, 1U);
  ASSERT_FALSE(published_at_write.empty());
  EXPECT_EQ(published_at_write.front(), 0U) << "the log has it first";
  EXPECT_EQ(cell->load()->revision, 1U);
  EXPECT_EQ(cell->load()->fingerprint, applied->fingerprint);
  EXPECT_EQ(cell->load()->principals.count("alice"), 1U);
}

TEST_F(config_store, refuses_with_the_field) {
  auto bad = put("alice");
  bad.document = R"({"role":"root"})";
  const auto applied = apply(bad);
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.failure().code, errc::invalid_argument);
  EXPECT_EQ(applied.failure().field, "/role");
  EXPECT_EQ(store->synced, 0) << "it is in no log";
}

TEST_F(config_store, reads_back_what_was_put) {
  ASSERT_TRUE(apply(put("bob", "administrator")).ok());
  ASSERT_TRUE(apply(put("alice")).ok());
  const auto one = ask<config_document>(actor, get_config_object{object_kind::principal, "bob"});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->document, R"({"role":"administrator"})");
  EXPECT_EQ(one->revision, 2U);
  const auto all = ask<config_documents>(actor, list_config_objects{object_kind::principal});
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->objects.size(), 2U);
  EXPECT_EQ(all->objects[0].name, "alice");
  EXPECT_EQ(all->revision, 2U);
  const auto none = ask<config_document>(actor, get_config_object{object_kind::principal, "carol"});
  EXPECT_EQ(none.failure().code, errc::not_found);
  const auto odd = ask<config_documents>(actor, list_config_objects{static_cast<object_kind>(99)});
  EXPECT_EQ(odd.failure().code, errc::invalid_argument);
}

TEST_F(config_store, hands_out_a_state_that_stays_as_it_was) {
  ASSERT_TRUE(apply(put("alice")).ok());
  const auto held = ask<held_config_state>(actor, get_config_state{});
  ASSERT_TRUE(held.ok());
  ASSERT_TRUE(apply(put("bob")).ok());
  EXPECT_EQ(held->state->revision(), 1U);
  EXPECT_EQ(held->state->all(object_kind::principal).size(), 1U);
  EXPECT_NE(held->state->fingerprint(), status().fingerprint);
}

TEST_F(config_store, tells_what_changes_before_it_is_shown) {
  stop();
  std::vector<std::uint64_t> told;
  std::vector<std::uint64_t> shown;
  auto given = needs();
  given.changed = [&](const config_ptr& state, const std::vector<replica::known_member>& present,
                      bool) {
    told.push_back(state->revision);
    shown.push_back(cell->load()->revision);
    EXPECT_EQ(present.size(), 1U);
  };
  actor = own(*spawn_config_store_scheduled(system, std::move(given)));
  advance(test::election_time);
  told.clear();
  shown.clear();
  ASSERT_TRUE(apply(put("alice")).ok());
  EXPECT_THAT(told, ElementsAre(1U));
  EXPECT_THAT(shown, ElementsAre(0U));
}

TEST_F(config_store, writes_what_waits_together) {
  std::vector<answer<config_applied>> answers;
  answers.reserve(20);
  for (int i = 0; i < 20; ++i)
    answers.push_back(post<config_applied>(actor, put("p" + std::to_string(i))));
  run();
  for (const auto& one : answers) {
    ASSERT_TRUE(one->has_value());
    ASSERT_TRUE((*one)->ok());
  }
  EXPECT_LT(store->synced, 5);
  EXPECT_EQ(status().revision, 20U);
  EXPECT_EQ(cell->load()->principals.size(), 20U);
}

TEST_F(config_store, a_read_never_shows_what_is_not_on_disk) {
  auto write = post<config_applied>(actor, put("alice"));
  auto read = post<config_document>(actor, get_config_object{object_kind::principal, "alice"});
  store->fail_writes = true;
  run();
  ASSERT_TRUE(write->has_value() && read->has_value());
  EXPECT_EQ((*write)->failure().check, "cluster-outcome-unknown");
  EXPECT_FALSE((*read)->ok());
}

TEST_F(config_store, a_refusal_never_rests_on_what_is_not_on_disk) {
  auto create = put("alice");
  create.action = config_action::create;
  auto first = post<config_applied>(actor, create);
  auto second = post<config_applied>(actor, create);
  store->fail_writes = true;
  run();
  ASSERT_TRUE(first->has_value() && second->has_value());
  EXPECT_EQ((*first)->failure().check, "cluster-outcome-unknown");
  EXPECT_EQ((*second)->failure().check, "cluster-outcome-unknown");
}

TEST_F(config_store, stops_serving_when_the_disk_fails_and_says_so) {
  ASSERT_TRUE(apply(put("alice")).ok());
  std::vector<answer<config_applied>> answers;
  for (int i = 0; i < 3; ++i)
    answers.push_back(post<config_applied>(actor, put("p" + std::to_string(i))));
  const auto waits = post<config_status>(actor, await_configuration{99, false});
  store->fail_writes = true;
  run();
  for (const auto& one : answers) {
    ASSERT_TRUE(one->has_value()) << "everybody who waits is told";
    EXPECT_EQ((*one)->failure().code, errc::unavailable);
    EXPECT_EQ((*one)->failure().check, "cluster-outcome-unknown");
    EXPECT_NE((*one)->failure().message.find("disk is full"), std::string::npos);
  }
  ASSERT_TRUE(waits->has_value());
  EXPECT_EQ((*waits)->failure().check, out_of_service_check);
  store->fail_writes = false;
  const auto expect_refused = [](const auto& answered) {
    ASSERT_FALSE(answered.ok()) << "it does not go on";
    EXPECT_EQ(answered.failure().code, errc::unavailable);
    EXPECT_EQ(answered.failure().check, out_of_service_check);
  };
  expect_refused(apply(put("bob")));
  expect_refused(ask<config_document>(actor, get_config_object{object_kind::principal, "alice"}));
  expect_refused(ask<config_documents>(actor, list_config_objects{object_kind::principal}));
  expect_refused(change(membership_action::add, "node-2"));
  advance(std::chrono::seconds(10));
  ASSERT_EQ(failures.size(), 1U) << "the process is told once";
  EXPECT_EQ(failures.front().why.code, errc::storage_failure);
  EXPECT_FALSE(failures.front().for_good) << "what is on the disk may be good";
  EXPECT_EQ(cluster().role, "out of service");
  EXPECT_NE(cluster().problem.find("disk is full"), std::string::npos);
  EXPECT_EQ(gauges->in_service, 0U);
  EXPECT_EQ(cell->load()->revision, 1U) << "nothing is published that is not durable";
  EXPECT_EQ(cell->load()->principals.count("p0"), 0U);
  stop();
  failures.clear();
  start();
  EXPECT_EQ(status().revision, 1U);
  EXPECT_EQ(apply(put("bob"))->revision, 2U);
}

TEST_F(config_store, after_a_failed_write_the_disk_says_what_holds) {
  store->fail_writes = store->write_anyway = true;
  EXPECT_EQ(apply(put("alice", "auditor", "op-1")).failure().check, "cluster-outcome-unknown");
  EXPECT_EQ(cell->load()->principals.count("alice"), 0U);
  store->fail_writes = false;
  stop();
  start();
  EXPECT_EQ(cell->load()->principals.count("alice"), 1U);
  EXPECT_EQ(apply(put("alice", "auditor", "op-1"))->revision, 1U); // the retry finds its outcome
  EXPECT_EQ(status().revision, 1U);
}

TEST_F(config_store, no_change_is_not_published) {
  ASSERT_TRUE(apply(put("alice")).ok());
  const auto generation = cell->generation();
  EXPECT_FALSE(apply(put("alice"))->changed);
  EXPECT_EQ(cell->generation(), generation);
}

TEST_F(config_store, restarts_where_it_was) {
  const auto before = *apply(put("alice", "auditor", "op-1"));
  stop();
  cell = std::make_shared<config_cell>();
  start();
  EXPECT_EQ(cell->load()->fingerprint, before.fingerprint);
  EXPECT_EQ(status().revision, 1U);
  EXPECT_EQ(apply(put("alice", "auditor", "op-1"))->revision, 1U);
}

TEST_F(config_store, whoever_waits_when_it_is_stopped_is_answered) {
  auto write = post<config_applied>(actor, put("alice"));
  auto waits = post<config_status>(actor, await_configuration{99, false});
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(write->has_value());
  ASSERT_TRUE(waits->has_value());
  EXPECT_EQ((*waits)->failure().code, errc::unavailable);
  const bool said_yes = (*write)->ok();
  cell = std::make_shared<config_cell>();
  start();
  if (said_yes) {
    EXPECT_EQ(cell->load()->principals.count("alice"), 1U);
  } else {
    EXPECT_EQ((*write)->failure().code, errc::unavailable);
  }
}

TEST_F(config_store, waits_for_a_revision) {
  const auto early = post<config_status>(actor, await_configuration{1, false});
  run();
  EXPECT_FALSE(early->has_value());
  ASSERT_TRUE(apply(put("alice")).ok());
  ASSERT_TRUE(early->has_value());
  EXPECT_EQ((*early)->value().revision, 1U);
  EXPECT_EQ((*early)->value().node, "node-1");
  EXPECT_EQ(ask<config_status>(actor, await_configuration{0, true})->revision, 1U);
  const auto never = post<config_status>(actor, await_configuration{99, false});
  for (int i = 0; i < 6; ++i)
    advance(std::chrono::seconds(1));
  ASSERT_TRUE(never->has_value());
  EXPECT_EQ((*never)->failure().check, "cluster-behind");
}

TEST_F(config_store, says_how_the_cluster_stands) {
  ASSERT_TRUE(apply(put("alice")).ok());
  const auto s = cluster();
  EXPECT_EQ(s.cluster_id, "cluster-1");
  EXPECT_EQ(s.node, "node-1");
  EXPECT_EQ(s.leader, "node-1");
  EXPECT_EQ(s.role, "leader");
  EXPECT_EQ(s.revision, 1U);
  EXPECT_EQ(s.applied, s.committed);
  EXPECT_EQ(s.fingerprint, cell->load()->fingerprint);
  EXPECT_EQ(s.state_hash.size(), 64U);
  EXPECT_EQ(s.problem, "");
  ASSERT_EQ(s.members.size(), 1U);
  EXPECT_EQ(s.members[0].link, "self");
  EXPECT_EQ(s.members[0].address, "node-1.example.org:8444");
  EXPECT_EQ(s.members[0].lag, 0U);
  EXPECT_EQ(gauges->leads, 1U);
  EXPECT_EQ(gauges->in_service, 1U);
  EXPECT_EQ(gauges->applied, s.applied);
  EXPECT_EQ(leaders.back(), "node-1");
}

TEST_F(config_store, keeps_the_link_of_a_node_that_was_removed_for_a_moment) {
  EXPECT_THAT(members, ElementsAre("node-1"));
  const auto added = change(membership_action::add, "node-2");
  ASSERT_TRUE(added.ok()) << added.failure().message;
  EXPECT_NE(added->id, 0U);
  EXPECT_EQ(replica::decode_members(added->members)->size(), 2U);
  EXPECT_THAT(members, ElementsAre("node-1", "node-2"));
  EXPECT_EQ(cluster().members.at(1).role, "standby");
  EXPECT_EQ(change(membership_action::remove, "node-2")->id, 0U);
  EXPECT_THAT(members, ElementsAre("node-1", "node-2")) << "it is to hear of it";
  advance(std::chrono::milliseconds(500));
  EXPECT_THAT(members, ElementsAre("node-1", "node-2"));
  for (int i = 0; i < 4; ++i)
    advance(std::chrono::milliseconds(500));
  EXPECT_THAT(members, ElementsAre("node-1"));
}

TEST_F(config_store, refuses_changes_of_the_membership_that_are_none) {
  const auto alone = change(membership_action::remove, "node-1");
  ASSERT_FALSE(alone.ok());
  EXPECT_EQ(alone.failure().field, "node");
  EXPECT_EQ(change(membership_action::update, "node-2").failure().code, errc::not_found);
  const auto odd = ask<membership_changed>(
      actor, change_membership{membership_action::add, R"({"name":"x y"})"});
  EXPECT_EQ(odd.failure().field, "/name");
  EXPECT_TRUE(ask<config_status>(actor, transfer_leadership{"node-1"}).ok()) << "it leads already";
  EXPECT_EQ(ask<config_status>(actor, transfer_leadership{"node-2"}).failure().code,
            errc::not_found);
}

TEST_F(config_store, alone_it_has_nobody_to_hand_over_to) {
  EXPECT_TRUE(ask<drained>(actor, drain{}).ok());
  EXPECT_TRUE(apply(put("alice")).ok());
}

TEST_F(config_store, does_not_start_on_damage) {
  ASSERT_TRUE(apply(put("alice")).ok());
  rocksdb::write_batch damage;
  damage.put("config/object/principals/alice", R"({"role":"administrator"})");
  ASSERT_TRUE(store->inner->write(damage).ok());
  const auto again = spawn_config_store_scheduled(system, needs());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::corrupted);
}

TEST_F(config_store, does_not_start_on_a_damaged_log) {
  ASSERT_TRUE(apply(put("alice")).ok());
  stop();
  rocksdb::write_batch damage;
  damage.put("raft/entry/0000000000000002", bytes{1, 2});
  ASSERT_TRUE(store->inner->write(damage).ok());
  EXPECT_EQ(spawn_config_store_scheduled(system, needs()).failure().code, errc::corrupted);
}

TEST_F(config_store, does_not_start_where_there_is_no_replica) {
  auto given = needs();
  given.store = rocksdb::make_memory_store();
  EXPECT_EQ(spawn_config_store_scheduled(system, given).failure().code, errc::not_found);
}

TEST_F(config_store, takes_itself_out_for_good_when_its_log_is_wrong) {
  ASSERT_TRUE(apply(put("alice")).ok());
  stop();
  append_to_log({command_version, 0, 1});
  start();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures.front().why.code, errc::corrupted);
  EXPECT_TRUE(failures.front().for_good);
  EXPECT_EQ(apply(put("bob")).failure().check, out_of_service_check);
  EXPECT_EQ(cluster().role, "out of service");
  stop();
  const auto again = spawn_config_store_scheduled(system, needs());
  ASSERT_FALSE(again.ok()) << "it is not to come back as it is";
  EXPECT_EQ(again.failure().code, errc::corrupted);
}

TEST_F(config_store, what_a_later_version_wrote_waits_for_that_version) {
  stop();
  append_to_log({command_version + 1, 0, 1});
  start();
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures.front().why.code, errc::unsupported);
  EXPECT_FALSE(failures.front().for_good);
  EXPECT_EQ(apply(put("bob")).failure().check, out_of_service_check);
  stop();
  EXPECT_TRUE(replica::load_replica(*store).ok()) << "nothing is wrong with what is stored";
}

/// On its own thread over real files.
TEST(config_store_detached, keeps_revision_and_fingerprint_over_restarts) {
  const custos::test::temporary_directory d;
  config_applied last;
  for (int round = 0; round < 2; ++round) {
    auto store = rocksdb::open_store(d.path() / "db", {true});
    ASSERT_TRUE(store.ok());
    auto cell = std::make_shared<config_cell>();
    caf::actor_system_config config;
    config.add_message_types<caf::id_block::custos>();
    caf::actor_system system(config);
    auto given = test::alone(*store, cell, [] {
      const auto since = std::chrono::steady_clock::now().time_since_epoch();
      return static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    });
    given.options.raft.election_ms = 50;
    given.options.answer_timeout_ms = 25000;
    auto actor = spawn_config_store(system, std::move(given));
    ASSERT_TRUE(actor.ok()) << actor.failure().message;
    if (round == 1) {
      EXPECT_EQ(cell->load()->revision, last.revision);
      EXPECT_EQ(cell->load()->fingerprint, last.fingerprint);
    }
    caf::scoped_actor self(system);
    self->request(*actor, std::chrono::seconds(30), put("p" + std::to_string(round)))
        .receive([&](config_applied& applied) { last = applied; },
                 [](const caf::error& e) { ADD_FAILURE() << from_caf(e).message; });
    EXPECT_EQ(last.revision, static_cast<std::uint64_t>(round) + 1);
    self->send_exit(*actor, caf::exit_reason::user_shutdown);
    self->wait_for(*actor);
  }
}

} // namespace custos::cluster

#include "cluster/config_store_actor.hpp"

#include "cluster/config_state.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"

#include <functional>
#include <future>

namespace custos::cluster {

namespace {

/// Counts writes and fails when told to; what a failed write leaves behind is chosen.
class faulty_store : public rocksdb::kv_store {
public:
  result<std::optional<bytes>> get(std::string_view key) const override { return inner->get(key); }
  result<std::vector<rocksdb::kv_entry>> scan(std::string_view prefix) const override {
    if (fail_reads)
      return make_error(errc::storage_failure, "test: the disk does not read");
    return inner->scan(prefix);
  }
  result<void> write(const rocksdb::write_batch& batch, rocksdb::durability how) override {
    ++writes;
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
  int writes = 0;
  bool fail_writes = false;
  bool write_anyway = false;
  bool fail_reads = false;
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

/// The replica of a cluster of one: it leads after its first tick.
class config_store : public custos::test::deterministic {
protected:
  config_store() {
    replica::test::fill_first(*store, replica::test::info_of("node-1"));
    start();
  }
  config_store_dependencies dependencies() {
    config_store_dependencies out{store, cell, "cluster-1", "node-1"};
    out.incarnation = "test";
    out.ticks = [this] { return now_ms; };
    out.failed = [this](const replica_failure& f) { failures.push_back(f); };
    out.gauges = gauges;
    return out;
  }
  void start() {
    auto spawned = spawn_config_store_scheduled(system, dependencies());
    ASSERT_TRUE(spawned.ok()) << spawned.failure().message;
    actor = own(*spawned);
    pass(100);
    ASSERT_EQ(gauges->leads, 1U);
    store->writes = 0;
  }
  void pass(replica::milliseconds ms) {
    constexpr replica::milliseconds step = 20;
    for (replica::milliseconds t = 0; t < ms; t += step) {
      now_ms += step;
      advance(std::chrono::milliseconds(step));
    }
  }
  result<config_applied> apply(const config_command& c) { return ask<config_applied>(actor, c); }
  config_status status() {
    auto out = ask<config_status>(actor, get_config_status{});
    EXPECT_TRUE(out.ok());
    return out.ok() ? *out : config_status{};
  }

  std::shared_ptr<faulty_store> store = std::make_shared<faulty_store>();
  std::shared_ptr<config_cell> cell = std::make_shared<config_cell>();
  std::shared_ptr<replica_gauges> gauges = std::make_shared<replica_gauges>();
  replica::milliseconds now_ms = 1000;
  std::vector<replica_failure> failures;
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
  EXPECT_EQ(store->writes, 0);
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

TEST_F(config_store, writes_what_waits_together) {
  std::vector<answer<config_applied>> answers;
  answers.reserve(20);
  for (int i = 0; i < 20; ++i)
    answers.push_back(post<config_applied>(actor, put("p" + std::to_string(i))));
  run();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_TRUE(answers[i]->has_value());
    ASSERT_TRUE((*answers[i])->ok());
  }
  EXPECT_LT(store->writes, 5);
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
  EXPECT_EQ((*read)->failure().code, errc::not_found);
}

TEST_F(config_store, stops_when_its_disk_fails_and_says_so) {
  ASSERT_TRUE(apply(put("alice")).ok());
  std::vector<answer<config_applied>> answers;
  for (int i = 0; i < 3; ++i)
    answers.push_back(post<config_applied>(actor, put("p" + std::to_string(i))));
  store->fail_writes = true;
  run();
  for (const auto& one : answers) {
    ASSERT_TRUE(one->has_value());
    EXPECT_EQ((*one)->failure().code, errc::unavailable);
    EXPECT_EQ((*one)->failure().check, "cluster-outcome-unknown");
    EXPECT_NE((*one)->failure().message.find("disk is full"), std::string::npos);
  }
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(failures.front().why.code, errc::storage_failure);
  EXPECT_FALSE(failures.front().for_good) << "what is on the disk may be good";
  EXPECT_EQ(gauges->in_service, 0U);
  store->fail_writes = false;
  const auto later = apply(put("bob"));
  ASSERT_FALSE(later.ok()) << "it does not go on";
  EXPECT_EQ(later.failure().code, errc::unavailable);
  EXPECT_EQ(later.failure().check, out_of_service_check);
  const auto read = ask<config_document>(actor, get_config_object{object_kind::principal, "alice"});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().check, out_of_service_check);
  EXPECT_EQ(cell->load()->principals.size(), 1U);
  const auto now = ask<cluster_status>(actor, get_cluster_status{});
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->role, "out of service");
  EXPECT_NE(now->problem.find("disk is full"), std::string::npos) << now->problem;
}

TEST_F(config_store, after_a_failed_write_the_disk_says_what_holds) {
  store->fail_writes = store->write_anyway = true;
  EXPECT_EQ(apply(put("alice", "auditor", "op-1")).failure().check, "cluster-outcome-unknown");
  store->fail_writes = store->write_anyway = false;
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  run();
  start();
  EXPECT_EQ(status().revision, 1U) << "it was in the log";
  EXPECT_EQ(apply(put("alice", "auditor", "op-1"))->revision, 1U); // the retry finds its outcome
}

TEST_F(config_store, what_changes_nothing_publishes_nothing) {
  ASSERT_TRUE(apply(put("alice")).ok());
  const auto generation = cell->generation();
  EXPECT_FALSE(apply(put("alice"))->changed);
  EXPECT_EQ(cell->generation(), generation);
}

TEST_F(config_store, says_how_the_cluster_stands) {
  const auto now = ask<cluster_status>(actor, get_cluster_status{});
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->role, "leader");
  EXPECT_EQ(now->leader, "node-1");
  ASSERT_EQ(now->members.size(), 1U);
  EXPECT_EQ(now->members.front().link, "self");
  EXPECT_EQ(now->members.front().lag, 0U);
}

TEST_F(config_store, waits_for_a_revision_and_gives_up_in_time) {
  auto later = post<config_status>(actor, await_configuration{1, false});
  auto never = post<config_status>(actor, await_configuration{9, false});
  run();
  EXPECT_FALSE(later->has_value());
  ASSERT_TRUE(apply(put("alice")).ok());
  ASSERT_TRUE(later->has_value());
  EXPECT_EQ((*later)->value().revision, 1U);
  EXPECT_TRUE(ask<config_status>(actor, await_configuration{1, true}).ok());
  pass(6000);
  ASSERT_TRUE(never->has_value());
  EXPECT_EQ((*never)->failure().check, "cluster-behind");
}

TEST_F(config_store, restarts_where_it_was) {
  const auto before = *apply(put("alice", "auditor", "op-1"));
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  run();
  cell = std::make_shared<config_cell>();
  start();
  EXPECT_EQ(cell->load()->fingerprint, before.fingerprint);
  EXPECT_EQ(status().revision, 1U);
  EXPECT_EQ(apply(put("alice", "auditor", "op-1"))->revision, 1U);
}

TEST_F(config_store, tells_who_waits_when_it_is_stopped) {
  auto write = post<config_status>(actor, await_configuration{9, false});
  run();
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(write->has_value());
  EXPECT_EQ((*write)->failure().code, errc::unavailable);
}

TEST_F(config_store, does_not_start_on_damage) {
  ASSERT_TRUE(apply(put("alice")).ok());
  rocksdb::write_batch damage;
  damage.put("config/object/principals/alice", R"({"role":"administrator"})");
  ASSERT_TRUE(store->inner->write(damage).ok());
  const auto again = spawn_config_store_scheduled(system, dependencies());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::corrupted);
}

/// On its own thread over real files.
TEST(config_store_detached, keeps_revision_and_fingerprint_over_restarts) {
  const custos::test::temporary_directory d;
  config_applied last;
  for (int round = 0; round < 2; ++round) {
    auto store = rocksdb::open_store(d.path() / "db", {true});
    ASSERT_TRUE(store.ok());
    if (round == 0)
      replica::test::fill_first(**store, replica::test::info_of("n"));
    auto cell = std::make_shared<config_cell>();
    caf::actor_system_config config;
    config.add_message_types<caf::id_block::custos>();
    caf::actor_system system(config);
    config_store_dependencies given{*store, cell, "c", "n"};
    given.incarnation = std::to_string(round);
    given.ticks = [] {
      const auto since = std::chrono::steady_clock::now().time_since_epoch();
      return static_cast<replica::milliseconds>(
          std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    };
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

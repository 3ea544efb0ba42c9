// Primary keys that change by themselves: who acts, when, and what becomes of failures.

#include "actors/keyprovider/rotation_actor.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/actors/keyprovider/doubles.hpp"

#include <gmock/gmock.h>

namespace custos::keyprovider {

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::int64_t start = 1'800'000'000;
constexpr std::int64_t day = 24 * 3600;

/// The ConfigStore as far as the rotation sees it: one object at a time, by revision.
struct store_double {
  std::shared_ptr<config_cell> cell = std::make_shared<config_cell>();
  config_snapshot config;
  std::vector<config_command> commands;
  /// Objects as they were written, by the text that stands for them.
  std::map<std::string, key_provider> written;
  std::optional<error> refuse;
  int conflicts = 0; ///< so many times somebody else is faster

  void publish() {
    ++config.revision;
    cell->publish(std::make_shared<const config_snapshot>(config));
  }
};

class config_store_double : public config_writer::base {
public:
  config_store_double(caf::actor_config& cfg, std::shared_ptr<store_double> store)
      : config_writer::base(cfg), store_(std::move(store)) {
    set_default_handler(caf::drop);
  }
  config_writer::behavior_type make_behavior() override {
    return {
        [this](const config_command& c) -> caf::result<config_applied> {
          store_->commands.push_back(c);
          if (store_->refuse)
            return to_caf(*store_->refuse);
          if (store_->conflicts > 0) {
            --store_->conflicts;
            store_->publish();
          }
          if (c.if_revision != store_->config.revision)
            return to_caf(make_error(errc::revision_conflict, "somebody was faster"));
          store_->config.key_providers[c.name] = store_->written.at(c.document);
          store_->publish();
          return config_applied{store_->config.revision, "", true};
        },
    };
  }

private:
  std::shared_ptr<store_double> store_;
};

/// Makes primary keys on key servers, or says why not.
struct maker_double {
  std::vector<create_primary_key> calls;
  std::optional<error> refuse;
};

class key_maker_double : public primary_key_maker::base {
public:
  key_maker_double(caf::actor_config& cfg, std::shared_ptr<maker_double> state)
      : primary_key_maker::base(cfg), state_(std::move(state)) {
    set_default_handler(caf::drop);
  }
  primary_key_maker::behavior_type make_behavior() override {
    return {
        [this](const create_primary_key& c) -> caf::result<kmip::key_created> {
          state_->calls.push_back(c);
          if (state_->refuse)
            return to_caf(*state_->refuse);
          return kmip::key_created{"uid-" + std::to_string(state_->calls.size())};
        },
    };
  }

private:
  std::shared_ptr<maker_double> state_;
};

class rotation_test : public test::deterministic {
protected:
  rotation_test() {
    auto& disk = store->config.key_providers["disk"];
    disk.name = "disk";
    disk.primary_key_id = "k1";
    disk.rotation.interval_days = 90;
    auto& lab = store->config.key_providers["lab"];
    lab.name = "lab";
    lab.type = provider_type::native;
    lab.primary_key_id = "a";
    lab.primary_keys = {{"a", {}, start, true}};
    store->publish();
    rotation_dependencies given;
    given.config = store->cell;
    given.now = [this] { return now; };
    given.leads = [this] { return leads; };
    given.keys = own(primary_key_maker(system.spawn<key_maker_double>(maker)));
    given.config_store = own(config_writer(system.spawn<config_store_double>(store)));
    given.audit = own(audit_api(system.spawn<test::audit_double>(audit)));
    given.make_native_key = [this](const std::string&) -> result<native_key> {
      return native_key{"b", {bytes{1}}, now};
    };
    given.document_of = [this](const key_provider& p) {
      auto text = p.name + std::to_string(store->written.size());
      store->written[text] = p;
      return text;
    };
    given.problems = problems;
    given.actor = "node:n1";
    own(spawn_rotation(system, std::move(given)));
    run();
  }

  void pass(std::int64_t seconds) {
    now += seconds;
    advance(61s); // one look
  }
  key_provider& disk() { return store->config.key_providers["disk"]; }
  key_provider& lab() { return store->config.key_providers["lab"]; }
  std::size_t audited() const {
    return static_cast<std::size_t>(
        std::count_if(audit->records.begin(), audit->records.end(),
                      [](const auto& r) { return r.action == "provider.rotate"; }));
  }

  std::int64_t now = start;
  bool leads = true;
  std::shared_ptr<store_double> store = std::make_shared<store_double>();
  std::shared_ptr<maker_double> maker = std::make_shared<maker_double>();
  test::audit_state_ptr audit = std::make_shared<test::audit_double_state>();
  std::shared_ptr<rotation_problems> problems = std::make_shared<rotation_problems>();
};

} // namespace

TEST_F(rotation_test, changes_the_primary_key_when_the_interval_is_over) {
  pass(0);
  EXPECT_EQ(disk().rotation.key, "k1");
  EXPECT_EQ(disk().rotation.since, start);
  EXPECT_EQ(audited(), 0U) << "nothing was rotated";
  pass(90 * day - 1);
  EXPECT_EQ(disk().primary_key_id, "k1");
  EXPECT_TRUE(maker->calls.empty());
  pass(1);
  EXPECT_EQ(disk().primary_key_id, "uid-1");
  EXPECT_EQ(disk().rotation.key, "uid-1");
  ASSERT_EQ(maker->calls.size(), 1U);
  EXPECT_EQ(maker->calls.front().provider, "disk");
  EXPECT_EQ(maker->calls.front().key_name.rfind("custos-disk-", 0), 0U);
  EXPECT_EQ(store->commands.back().actor, "node:n1");
  EXPECT_TRUE(store->commands.back().if_revision.has_value());
  ASSERT_EQ(audited(), 1U);
  EXPECT_EQ(audit->records.back().outcome, "ok");
  EXPECT_EQ(audit->records.back().detail, "primary-key=uid-1");
  pass(89 * day);
  EXPECT_EQ(disk().primary_key_id, "uid-1");
}

TEST_F(rotation_test, is_the_leaders_alone) {
  leads = false;
  pass(0);
  pass(1000 * day);
  EXPECT_TRUE(store->commands.empty());
  leads = true;
  pass(0);
  EXPECT_EQ(store->commands.size(), 1U);
}

TEST_F(rotation_test, tries_again_after_an_hour_and_says_what_failed) {
  pass(0);
  maker->refuse = make_error(errc::unavailable, "no key server answers");
  pass(90 * day);
  EXPECT_EQ(maker->calls.size(), 1U);
  EXPECT_THAT(problems->of("disk"), HasSubstr("no key server answers"));
  EXPECT_EQ(audit->records.back().outcome, "unavailable");
  pass(3599);
  EXPECT_EQ(maker->calls.size(), 1U);
  maker->refuse.reset();
  pass(1);
  EXPECT_EQ(maker->calls.size(), 2U);
  EXPECT_EQ(disk().primary_key_id, "uid-2");
  EXPECT_EQ(problems->of("disk"), "");
}

TEST_F(rotation_test, uses_the_key_it_made_when_it_could_not_be_written_at_first) {
  pass(0);
  store->refuse = make_error(errc::unavailable, "no majority");
  pass(90 * day);
  ASSERT_EQ(maker->calls.size(), 1U);
  EXPECT_EQ(disk().primary_key_id, "k1");
  EXPECT_THAT(audit->records.back().detail, HasSubstr("uid-1"));
  store->refuse.reset();
  pass(3600);
  EXPECT_EQ(maker->calls.size(), 1U) << "one key, not two";
  EXPECT_EQ(disk().primary_key_id, "uid-1");
}

TEST_F(rotation_test, is_not_stopped_by_other_changes_of_the_configuration) {
  pass(0);
  store->conflicts = 3;
  pass(90 * day);
  EXPECT_EQ(disk().primary_key_id, "uid-1");
  EXPECT_EQ(maker->calls.size(), 1U);
}

TEST_F(rotation_test, gives_way_to_whoever_names_a_primary_key_meanwhile) {
  pass(0);
  store->refuse = make_error(errc::unavailable, "no majority");
  pass(90 * day);
  store->refuse.reset();
  disk().primary_key_id = "by-hand";
  store->publish();
  pass(3600);
  EXPECT_EQ(disk().primary_key_id, "by-hand");
  EXPECT_EQ(disk().rotation.key, "by-hand") << "the interval begins anew";
}

TEST_F(rotation_test, of_a_native_provider_makes_a_key_that_waits_for_its_backup) {
  lab().rotation.interval_days = 30;
  store->publish();
  pass(30 * day);
  ASSERT_EQ(lab().primary_keys.size(), 2U);
  EXPECT_EQ(lab().primary_keys.back().id, "b");
  EXPECT_FALSE(lab().primary_keys.back().backed_up);
  EXPECT_EQ(lab().primary_key_id, "a");
  EXPECT_THAT(audit->records.back().detail, HasSubstr("primary-key=b"));
  pass(300 * day);
  EXPECT_EQ(lab().primary_keys.size(), 2U) << "no further one before";
}

TEST_F(rotation_test, of_a_provider_that_is_gone_ends) {
  pass(0);
  store->config.key_providers.erase("disk");
  store->publish();
  pass(90 * day);
  EXPECT_TRUE(maker->calls.empty());
}

} // namespace custos::keyprovider

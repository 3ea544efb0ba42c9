#include "actors/kmip/group_actor.hpp"

#include "actors/kmip/group_core.hpp"
#include "messages/caf_error.hpp"
#include "tests/actors/deterministic.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <map>

namespace custos::kmip {
namespace {

using namespace std::chrono_literals;

/// How one server answers; empty: never.
struct script {
  std::optional<error> failure;
  bool silent = false;
  int asked = 0;
  int created = 0;
};

/// A connection that does as the script of its server says.
class fake_connection : public kmip_api::base {
public:
  fake_connection(caf::actor_config& cfg, std::string server, std::shared_ptr<script> s)
      : kmip_api::base(cfg), server_(std::move(server)), script_(std::move(s)) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "fake_connection"; }

  kmip_api::behavior_type make_behavior() override {
    return {
        [this](const get_capabilities&) {
          return act(capabilities{1, 4, {}, server_});
        },
        [this](const get_key&) {
          return act(key_material{std::make_shared<const crypto::secret_bytes>(32)});
        },
        [this](const encrypt_data&) { return act(encrypted_data{}); },
        [this](const decrypt_data&) { return act(decrypted_data{}); },
        [this](const get_key_state&) { return act(key_state{server_}); },
        [this](const create_key&) {
          ++script_->created;
          return act(key_created{server_});
        },
        [this](const get_server_status&) -> caf::result<std::vector<key_server_status>> {
          if (script_->silent)
            return make_response_promise<std::vector<key_server_status>>();
          key_server_status s;
          s.server = "name of the connection";
          s.health = script_->failure ? "error" : "ok";
          return std::vector{s};
        },
    };
  }

private:
  template <class T>
  caf::result<T> act(T reply) {
    ++script_->asked;
    if (script_->silent) {
      auto never = make_response_promise<T>();
      return never;
    }
    if (script_->failure)
      return to_caf(*script_->failure);
    return reply;
  }

  std::string server_;
  std::shared_ptr<script> script_;
};

class KmipGroup : public test::deterministic {
protected:
  kmip_api group_of(std::size_t servers) {
    kmip_group_options options;
    options.provider = "p";
    options.timeout = 4s;
    options.connections_per_server = 2;
    for (std::size_t i = 0; i < servers; ++i) {
      options.servers.push_back({"kms-" + std::to_string(i), "host", 5696});
      scripts_.push_back(std::make_shared<script>());
    }
    auto group =
        own(spawn_kmip_group(system, options, [this](caf::actor_system& sys, std::size_t server) {
          kmip_api made =
              sys.spawn<fake_connection>("kms-" + std::to_string(server), scripts_[server]);
          made_.push_back(made);
          return made;
        }));
    run();
    return group;
  }

  void fail(std::size_t server, errc code, std::string check = {}) {
    error e = make_error(code, "as the script says");
    e.check = std::move(check);
    scripts_[server]->failure = e;
  }

  std::vector<std::shared_ptr<script>> scripts_;
  std::vector<kmip_api> made_;
};

TEST_F(KmipGroup, TheNextServerAnswersWhenOneIsAway) {
  const auto group = group_of(2);
  fail(0, errc::unavailable);
  const auto state = ask<key_state>(group, get_key_state{"k"});
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->state, "kms-1");
  EXPECT_EQ(scripts_[0]->asked, 1);
}

TEST_F(KmipGroup, ASilentServerCostsHalfTheTime) {
  const auto group = group_of(2);
  scripts_[0]->silent = true;
  const auto state = post<key_state>(group, get_key_state{"k"});
  advance(2000ms);
  EXPECT_FALSE(state->has_value());
  advance(250ms);
  ASSERT_TRUE(state->has_value() && (*state)->ok());
  EXPECT_EQ((**state)->state, "kms-1");
}

TEST_F(KmipGroup, AKeyAReplicaDoesNotHaveIsAskedElsewhere) {
  const auto group = group_of(2);
  fail(0, errc::not_found, "kmip-item-not-found");
  EXPECT_TRUE(ask<key_material>(group, get_key{"k"}).ok());
  fail(1, errc::not_found, "kmip-item-not-found");
  const auto nowhere = ask<key_material>(group, get_key{"k"});
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.failure().code, errc::not_found);
}

TEST_F(KmipGroup, ARefusalIsFinal) {
  const auto group = group_of(2);
  fail(0, errc::kmip_failure, "kmip-permission-denied");
  const auto refused = ask<key_material>(group, get_key{"k"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().check, "kmip-permission-denied");
  EXPECT_EQ(scripts_[1]->asked, 0);
}

TEST_F(KmipGroup, CreateIsRepeatedOnlyIfNothingWasSent) {
  const auto group = group_of(2);
  fail(0, errc::io_failure);
  EXPECT_EQ(ask<key_created>(group, create_key{"n"}).failure().code, errc::io_failure);
  EXPECT_EQ(scripts_[1]->created, 0);
  scripts_[0]->failure.reset();
  fail(1, errc::unavailable);
  const auto made = ask<key_created>(group, create_key{"n"});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->unique_identifier, "kms-0");
}

TEST_F(KmipGroup, AllDownFailsFastAndSaysWhenToComeBack) {
  const auto group = group_of(2);
  fail(0, errc::unavailable);
  fail(1, errc::unavailable);
  for (unsigned i = 0; i < failures_max; ++i)
    EXPECT_EQ(ask<key_state>(group, get_key_state{"k"}).failure().code, errc::unavailable);
  const int asked = scripts_[0]->asked + scripts_[1]->asked;
  const auto fast = ask<key_state>(group, get_key_state{"k"});
  EXPECT_EQ(fast.failure().code, errc::unavailable);
  EXPECT_EQ(fast.failure().retry_after_s, 2U);
  EXPECT_EQ(scripts_[0]->asked + scripts_[1]->asked, asked) << "nobody was asked";
}

TEST_F(KmipGroup, AServerThatIsBackIsFoundByAProbe) {
  const auto group = group_of(1);
  fail(0, errc::unavailable);
  for (unsigned i = 0; i < failures_max; ++i)
    EXPECT_FALSE(ask<key_state>(group, get_key_state{"k"}).ok());
  scripts_[0]->failure.reset();
  const int asked = scripts_[0]->asked;
  EXPECT_FALSE(ask<key_state>(group, get_key_state{"k"}).ok()) << "left alone";
  advance(open_first);
  EXPECT_EQ(scripts_[0]->asked, asked + 1) << "the probe";
  EXPECT_TRUE(ask<key_state>(group, get_key_state{"k"}).ok());
}

TEST_F(KmipGroup, StatusHasOneEntryAServerInOrder) {
  const auto group = group_of(3);
  fail(1, errc::unavailable);
  scripts_[2]->silent = true;
  const auto status = post<std::vector<key_server_status>>(group, get_server_status{});
  advance(2250ms);
  ASSERT_TRUE(status->has_value() && (*status)->ok());
  const auto& all = ***status;
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].server, "kms-0");
  EXPECT_EQ(all[0].health, "ok");
  EXPECT_EQ(all[1].health, "error");
  EXPECT_EQ(all[2].server, "kms-2");
  EXPECT_EQ(all[2].health, "error");
  EXPECT_FALSE(all[2].detail.empty());
}

TEST_F(KmipGroup, AConnectionThatEndedIsReplaced) {
  const auto group = group_of(1);
  ASSERT_EQ(made_.size(), 2U);
  caf::anon_send_exit(made_[0], caf::exit_reason::kill);
  run();
  EXPECT_EQ(made_.size(), 3U);
  EXPECT_TRUE(ask<key_state>(group, get_key_state{"k"}).ok());
}

TEST_F(KmipGroup, AtItsEndCallersAreAnswered) {
  const auto group = group_of(1);
  scripts_[0]->silent = true;
  const auto state = post<key_state>(group, get_key_state{"k"});
  run();
  caf::anon_send_exit(group, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(state->has_value() && !(*state)->ok());
  EXPECT_EQ((*state)->failure().code, errc::cancelled);
}

TEST_F(KmipGroup, AGroupWithoutServersSaysSo) {
  const auto group = group_of(0);
  EXPECT_EQ(ask<key_state>(group, get_key_state{"k"}).failure().code, errc::unavailable);
  EXPECT_TRUE(ask<std::vector<key_server_status>>(group, get_server_status{})->empty());
}

} // namespace
} // namespace custos::kmip

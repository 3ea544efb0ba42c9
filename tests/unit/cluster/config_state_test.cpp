#include "cluster/config_state.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

const std::string ek_a(64, 'a');
const std::string ek_b(64, 'b');

config_command command(config_action action, object_kind kind, std::string name,
                       std::string document = {}, std::string id = {}) {
  config_command out;
  out.action = action;
  out.kind = kind;
  out.name = std::move(name);
  out.document = std::move(document);
  out.operation_id = std::move(id);
  return out;
}

config_command put_ek(const std::string& name, const std::string& digest, std::string id = {}) {
  return command(config_action::put, object_kind::endorsement_key, name,
                 R"({"spki_sha256":")" + digest + "\"}", std::move(id));
}

config_command put_host(const std::string& name, const std::string& digest, bool quarantined) {
  return command(config_action::put, object_kind::host, name,
                 R"({"ek_spki_sha256":")" + digest + R"(","quarantined":)" +
                     (quarantined ? "true}" : "false}"));
}

config_command put_principal(const std::string& name, const std::string& role) {
  return command(config_action::put, object_kind::principal, name, R"({"role":")" + role + "\"}");
}

class config_state_test : public testing::Test {
protected:
  config_applied apply(const config_command& c) {
    auto step = state.apply(c);
    EXPECT_TRUE(step.ok()) << (step.ok() ? "" : step.failure().message);
    if (!step)
      return {};
    state = std::move(step->next);
    return step->outcome;
  }
  errc refused(const config_command& c) {
    const auto step = state.apply(c);
    EXPECT_FALSE(step.ok());
    return step.ok() ? errc::internal : step.failure().code;
  }
  config_state state;
};

} // namespace

TEST_F(config_state_test, begins_with_default_settings) {
  EXPECT_EQ(state.revision(), 0U);
  EXPECT_EQ(state.fingerprint(), config_state().fingerprint());
  const auto snapshot = state.snapshot();
  EXPECT_EQ(snapshot->revision, 0U);
  EXPECT_EQ(snapshot->fingerprint, state.fingerprint());
  EXPECT_EQ(snapshot->settings.token_life_s, 28800U);
}

TEST_F(config_state_test, puts_and_erases) {
  const auto empty = state.fingerprint();
  const auto first = apply(put_ek("x", ek_a));
  EXPECT_EQ(first.revision, 1U);
  EXPECT_TRUE(first.changed);
  EXPECT_EQ(first.fingerprint, state.fingerprint());
  EXPECT_NE(first.fingerprint, empty);
  EXPECT_EQ(state.snapshot()->endorsement_keys.at("x").spki_sha256, bytes(32, 0xAA));

  EXPECT_EQ(apply(put_ek("x", ek_b)).revision, 2U);
  EXPECT_EQ(state.snapshot()->endorsement_keys.at("x").spki_sha256, bytes(32, 0xBB));

  const auto erased = apply(command(config_action::erase, object_kind::endorsement_key, "x"));
  EXPECT_EQ(erased.revision, 3U);
  EXPECT_EQ(erased.fingerprint, empty);
  EXPECT_EQ(state.find(object_kind::endorsement_key, "x"), nullptr);
}

TEST_F(config_state_test, a_put_that_changes_nothing_is_no_revision) {
  apply(put_ek("x", ek_a));
  const auto again = apply(command(config_action::put, object_kind::endorsement_key, "x",
                                   R"( { "spki_sha256" : ")" + std::string(64, 'A') + "\" } "));
  EXPECT_FALSE(again.changed);
  EXPECT_EQ(again.revision, 1U);
}

TEST_F(config_state_test, the_fingerprint_is_that_of_the_canonical_json_of_everything) {
  apply(put_ek("b", ek_b));
  apply(put_ek("a", ek_a));
  apply(put_principal("admin", "administrator"));
  boost::json::object everything;
  for (const auto kind :
       {object_kind::tpm_ca, object_kind::endorsement_key, object_kind::base_image,
        object_kind::settings, object_kind::key_provider, object_kind::principal}) {
    boost::json::object all;
    for (const auto& [name, object] : state.all(kind))
      all[name] = boost::json::parse(object->document);
    everything[to_string(kind)] = std::move(all);
  }
  const auto text = json::canonical(everything);
  EXPECT_EQ(state.fingerprint(), crypto::hex(crypto::sha256(as_bytes(text))));
}

TEST_F(config_state_test, the_way_to_a_configuration_does_not_matter) {
  apply(put_ek("a", ek_a));
  apply(put_ek("b", ek_b));
  apply(put_ek("m", ek_b));
  config_state other;
  for (const auto& c : {put_ek("m", ek_b), put_ek("z", ek_b), put_ek("b", ek_b), put_ek("a", ek_a),
                        command(config_action::erase, object_kind::endorsement_key, "z")})
    other = other.apply(c)->next;
  EXPECT_EQ(other.fingerprint(), state.fingerprint());
  EXPECT_NE(other.revision(), state.revision());
}

TEST_F(config_state_test, creates_only_what_is_not_there) {
  auto create = put_ek("x", ek_a);
  create.action = config_action::create;
  EXPECT_EQ(apply(create).revision, 1U);
  EXPECT_EQ(refused(create), errc::already_exists);
}

TEST_F(config_state_test, erases_only_what_is_there) {
  EXPECT_EQ(refused(command(config_action::erase, object_kind::base_image, "x")), errc::not_found);
  EXPECT_EQ(refused(command(config_action::erase, object_kind::base_image, "x", "{}")),
            errc::invalid_argument);
  EXPECT_EQ(refused(command(config_action::erase, object_kind::settings, "settings")),
            errc::forbidden);
}

TEST_F(config_state_test, refuses_another_revision) {
  apply(put_ek("x", ek_a));
  auto c = put_ek("x", ek_b);
  c.if_revision = 0;
  EXPECT_EQ(refused(c), errc::revision_conflict);
  c.if_revision = 2;
  EXPECT_EQ(refused(c), errc::revision_conflict);
  c.if_revision = 1;
  EXPECT_EQ(apply(c).revision, 2U);
}

TEST_F(config_state_test, refuses_bad_names_documents_and_kinds) {
  EXPECT_EQ(refused(put_ek("../x", ek_a)), errc::invalid_argument);
  EXPECT_EQ(refused(put_ek("x", "aa")), errc::invalid_argument);
  EXPECT_EQ(refused(command(config_action::put, object_kind::settings, "other", "{}")),
            errc::invalid_argument);
  EXPECT_EQ(refused(command(config_action::put, static_cast<object_kind>(0), "x", "{}")),
            errc::invalid_argument);
  EXPECT_EQ(refused(command(config_action::put, static_cast<object_kind>(8), "x", "{}")),
            errc::invalid_argument);
  EXPECT_EQ(refused(put_ek("x", ek_a, std::string(operation_id_bytes_max + 1, 'o'))),
            errc::invalid_argument);
  EXPECT_EQ(state.revision(), 0U);
}

TEST_F(config_state_test, answers_a_repeated_command_with_the_first_outcome) {
  const auto first = apply(put_ek("x", ek_a, "op-1"));
  apply(put_ek("x", ek_b));
  const auto again = apply(put_ek("x", ek_a, "op-1"));
  EXPECT_EQ(again.revision, first.revision);
  EXPECT_EQ(again.fingerprint, first.fingerprint);
  EXPECT_TRUE(again.changed);
  EXPECT_EQ(state.revision(), 2U);
  EXPECT_EQ(state.snapshot()->endorsement_keys.at("x").spki_sha256, bytes(32, 0xBB));
}

TEST_F(config_state_test, a_repetition_is_recognised_before_the_revision_is_judged) {
  auto c = put_ek("x", ek_a, "op-1");
  c.if_revision = 0;
  apply(c);
  EXPECT_EQ(apply(c).revision, 1U);
}

TEST_F(config_state_test, refuses_an_operation_id_of_another_command) {
  apply(put_ek("x", ek_a, "op-1"));
  EXPECT_EQ(refused(put_ek("x", ek_b, "op-1")), errc::invalid_argument);
  EXPECT_EQ(refused(put_ek("y", ek_a, "op-1")), errc::invalid_argument);
}

TEST_F(config_state_test, a_refused_command_is_judged_anew) {
  EXPECT_EQ(refused(command(config_action::erase, object_kind::endorsement_key, "x", "", "op-1")),
            errc::not_found);
  apply(put_ek("x", ek_a));
  EXPECT_EQ(
      apply(command(config_action::erase, object_kind::endorsement_key, "x", "", "op-1")).revision,
      2U);
}

TEST_F(config_state_test, forgets_the_oldest_operations) {
  for (std::size_t i = 0; i <= operations_remembered_max; ++i)
    apply(put_ek("x", i % 2 == 0 ? ek_a : ek_b, "op-" + std::to_string(i)));
  EXPECT_EQ(state.operations().size(), operations_remembered_max);
  EXPECT_EQ(state.operations().front()->operation_id, "op-1");
  const auto revision = state.revision();
  apply(put_ek("x", ek_b, "op-1")); // remembered: nothing happens
  EXPECT_EQ(state.revision(), revision);
  apply(put_ek("y", ek_b, "op-0")); // forgotten: a new command
  EXPECT_EQ(state.revision(), revision + 1);
}

TEST_F(config_state_test, hosts_are_not_part_of_the_configuration) {
  const auto before = state.fingerprint();
  const auto bound = apply(put_host("h", ek_a, false));
  EXPECT_TRUE(bound.changed);
  EXPECT_EQ(bound.revision, 0U);
  EXPECT_EQ(bound.fingerprint, before);
  EXPECT_EQ(state.snapshot()->hosts.at("h").ek_spki_sha256, bytes(32, 0xAA));
}

TEST_F(config_state_test, a_host_is_never_rebound_silently) {
  apply(put_host("h", ek_a, false));
  EXPECT_EQ(refused(put_host("h", ek_b, false)), errc::forbidden);
  auto create = put_host("h", ek_b, false);
  create.action = config_action::create;
  EXPECT_EQ(refused(create), errc::forbidden);
  create = put_host("h", ek_a, false);
  create.action = config_action::create;
  EXPECT_EQ(refused(create), errc::already_exists);
  EXPECT_TRUE(apply(put_host("h", ek_a, true)).changed);
  EXPECT_TRUE(state.snapshot()->hosts.at("h").quarantined);
  apply(command(config_action::erase, object_kind::host, "h"));
  EXPECT_TRUE(apply(put_host("h", ek_b, false)).changed);
}

TEST_F(config_state_test, the_last_administrator_stays) {
  apply(put_principal("a", "administrator"));
  EXPECT_EQ(refused(command(config_action::erase, object_kind::principal, "a")), errc::forbidden);
  EXPECT_EQ(refused(put_principal("a", "auditor")), errc::forbidden);
  apply(put_principal("b", "administrator"));
  apply(put_principal("a", "auditor"));
  EXPECT_EQ(refused(command(config_action::erase, object_kind::principal, "b")), errc::forbidden);
  EXPECT_TRUE(apply(command(config_action::erase, object_kind::principal, "a")).changed);
}

TEST_F(config_state_test, hosts_have_a_limit_of_their_own) {
  // Every TPM is one host only.
  const auto ek_of = [](std::size_t i) {
    return crypto::hex(crypto::sha256(as_bytes(std::to_string(i))));
  };
  for (std::size_t i = 0; i < objects_per_kind_max; ++i)
    state.commit(*state.plan(put_host("h" + std::to_string(i), ek_of(i), false)));
  EXPECT_TRUE(apply(put_host("one-more", ek_of(objects_per_kind_max), false)).changed);
}

TEST_F(config_state_test, an_endorsement_key_is_bound_to_one_host) {
  apply(put_host("h", ek_a, false));
  EXPECT_EQ(refused(put_host("other", ek_a, false)), errc::forbidden);
  config_command erase;
  erase.action = config_action::erase;
  erase.kind = object_kind::host;
  erase.name = "h";
  apply(erase);
  EXPECT_TRUE(apply(put_host("other", ek_a, false)).changed);
}

TEST_F(config_state_test, refuses_one_object_too_many) {
  for (std::size_t i = 0; i < objects_per_kind_max; ++i) {
    // Planned on the way, so that only the limit itself is judged by the state machine.
    planned_change change;
    change.kind = object_kind::principal;
    change.name = "p" + std::to_string(i);
    change.writes = true;
    change.object = std::make_shared<const stored_object>(
        stored_object{principal{change.name, role::auditor}, R"({"role":"auditor"})"});
    state.commit(change);
  }
  EXPECT_EQ(refused(put_principal("one-more", "auditor")), errc::too_large);
  EXPECT_FALSE(apply(put_principal("p0", "auditor")).changed);
}

TEST_F(config_state_test, old_states_and_snapshots_do_not_change) {
  apply(put_ek("x", ek_a));
  const auto old = state;
  const auto snapshot = state.snapshot();
  apply(put_ek("x", ek_b));
  apply(put_ek("y", ek_b));
  EXPECT_EQ(old.find(object_kind::endorsement_key, "y"), nullptr);
  EXPECT_THAT(old.find(object_kind::endorsement_key, "x")->document, testing::HasSubstr(ek_a));
  EXPECT_EQ(snapshot->endorsement_keys.size(), 1U);
}

} // namespace custos::cluster

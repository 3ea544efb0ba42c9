#include "cluster/config_state.hpp"

#include <gmock/gmock.h>
#include <map>

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

namespace {

/// As object_table.hpp defines it, in one go.
crypto::sha256_digest table_hash(const std::vector<object_ptr>& objects) {
  std::array<std::map<std::string, crypto::sha256_digest>, 1024> buckets;
  for (const auto& object : objects) {
    const auto digest = crypto::sha256(as_bytes(object->name));
    buckets.at(digest[0] * 4U + digest[1] / 64U)[object->name] =
        crypto::sha256(as_bytes(object->document));
  }
  bytes table;
  for (std::size_t group = 0; group < 32; ++group) {
    bytes in_group;
    for (std::size_t b = 0; b < 32; ++b) {
      bytes in_bucket;
      for (const auto& [name, hash] : buckets.at(32 * group + b)) {
        in_bucket.push_back(static_cast<std::uint8_t>(name.size()));
        in_bucket.insert(in_bucket.end(), name.begin(), name.end());
        in_bucket.insert(in_bucket.end(), hash.begin(), hash.end());
      }
      const auto hash = crypto::sha256(in_bucket);
      in_group.insert(in_group.end(), hash.begin(), hash.end());
    }
    const auto hash = crypto::sha256(in_group);
    table.insert(table.end(), hash.begin(), hash.end());
  }
  return crypto::sha256(table);
}

} // namespace

TEST_F(config_state_test, the_fingerprint_is_that_of_all_objects_but_hosts) {
  for (int i = 0; i < 200; ++i)
    apply(put_ek("ek" + std::to_string(i), i % 2 == 0 ? ek_a : ek_b));
  apply(put_principal("admin", "administrator"));
  apply(put_host("h", ek_a, false));
  bytes all;
  for (const auto kind : {object_kind::endorsement_key, object_kind::settings,
                          object_kind::principal}) { // those that there are, by number
    all.push_back(static_cast<std::uint8_t>(kind));
    const auto hash = table_hash(state.all(kind));
    all.insert(all.end(), hash.begin(), hash.end());
  }
  EXPECT_EQ(state.fingerprint(), crypto::hex(crypto::sha256(all)));
  EXPECT_EQ(state.table(object_kind::host).hash(), table_hash(state.all(object_kind::host)));
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
  const auto after_the_last = static_cast<object_kind>(static_cast<unsigned>(last_object_kind) + 1);
  EXPECT_EQ(refused(command(config_action::put, after_the_last, "x", "{}")),
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
    state.commit(*state.plan(put_ek("x", i % 2 == 0 ? ek_a : ek_b, "op-" + std::to_string(i))));
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
  for (std::size_t i = 0; i < objects_per_kind_max; ++i)
    state.commit(*state.plan(put_principal("p" + std::to_string(i), "auditor")));
  EXPECT_EQ(refused(put_principal("one-more", "auditor")), errc::too_large);
  EXPECT_FALSE(apply(put_principal("p0", "auditor")).changed);
}

TEST_F(config_state_test, refuses_operation_ids_that_do_not_print) {
  EXPECT_EQ(refused(put_ek("x", ek_a, "two words")), errc::invalid_argument);
  EXPECT_EQ(refused(put_ek("x", ek_a, "\xFF")), errc::invalid_argument);
  auto c = put_ek("x", ek_a);
  c.action = static_cast<config_action>(4);
  EXPECT_EQ(refused(c), errc::invalid_argument);
}

TEST_F(config_state_test, a_document_may_be_as_large_as_the_limit) {
  std::string document = R"({"reason":"x","manufacturer":"id:1"})";
  document.append(config_document_bytes_max - document.size(), ' ');
  EXPECT_TRUE(apply(command(config_action::put, object_kind::denial, "d", document)).changed);
  EXPECT_LT(state.find(object_kind::denial, "d")->document.size(), 100U);
  document += ' ';
  EXPECT_EQ(refused(command(config_action::put, object_kind::denial, "d", document)),
            errc::too_large);
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

// ---- entries of the log ------------------------------------------------------------------------

namespace {

class log_test : public config_state_test {
protected:
  planned_change enter(const config_command& c, std::uint64_t valid_until = 0) {
    auto change = state.judge({c, valid_until}, ++index);
    state.commit(change);
    state.set_applied(index);
    return change;
  }
  void expect_refused(const planned_change& change, errc code) {
    ASSERT_TRUE(change.refusal.has_value());
    EXPECT_EQ(change.refusal->code, code);
    EXPECT_FALSE(change.writes);
    EXPECT_FALSE(change.outcome.changed);
  }
  std::uint64_t index = 0;
};

} // namespace

TEST_F(log_test, an_entry_changes_what_it_says) {
  const auto change = enter(put_ek("x", ek_a, "op-1"));
  EXPECT_FALSE(change.refusal);
  EXPECT_FALSE(change.repeated);
  EXPECT_EQ(change.kind, object_kind::endorsement_key);
  EXPECT_EQ(change.name, "x");
  EXPECT_EQ(change.outcome.revision, 1U);
  EXPECT_EQ(change.outcome.fingerprint, state.fingerprint());
  EXPECT_EQ(state.revision(), 1U);
  EXPECT_EQ(state.applied_index(), 1U);
  EXPECT_EQ(state.operations().size(), 1U);
}

TEST_F(log_test, a_refusal_is_remembered_like_any_outcome) {
  const auto erase = command(config_action::erase, object_kind::endorsement_key, "x", "", "op-1");
  const auto first = enter(erase);
  expect_refused(first, errc::not_found);
  EXPECT_FALSE(first.repeated);
  enter(put_ek("x", ek_a, "op-2")); // now it would be there
  const auto again = enter(erase);
  expect_refused(again, errc::not_found);
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.refusal->message, first.refusal->message);
  EXPECT_EQ(again.refusal->field, first.refusal->field);
  EXPECT_EQ(again.refusal->check, first.refusal->check);
  EXPECT_EQ(again.outcome.revision, 0U);
  EXPECT_NE(state.find(object_kind::endorsement_key, "x"), nullptr);
  EXPECT_EQ(state.operations().size(), 2U);
  // A plan meets the same memory.
  EXPECT_EQ(refused(erase), errc::not_found);
}

TEST_F(log_test, a_refusal_names_the_field_again) {
  const auto bad = put_ek("x", "aa", "op-1");
  const auto first = enter(bad);
  expect_refused(first, errc::invalid_argument);
  EXPECT_EQ(first.refusal->field, "/spki_sha256");
  EXPECT_EQ(enter(bad).refusal->field, "/spki_sha256");
}

TEST_F(log_test, a_repetition_changes_nothing_at_all) {
  const auto first = enter(put_ek("x", ek_a, "op-1"));
  enter(put_ek("x", ek_b, "op-2"));
  const auto hash = state.state_hash();
  const auto again = enter(put_ek("x", ek_a, "op-1"));
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.outcome.revision, first.outcome.revision);
  EXPECT_EQ(again.outcome.fingerprint, first.outcome.fingerprint);
  EXPECT_TRUE(again.outcome.changed);
  EXPECT_EQ(state.state_hash(), hash);
  EXPECT_EQ(state.applied_index(), 3U);
}

TEST_F(log_test, an_id_of_another_command_is_refused_and_stays_what_it_was) {
  enter(put_ek("x", ek_a, "op-1"));
  const auto hash = state.state_hash();
  const auto other = enter(put_ek("x", ek_b, "op-1"));
  expect_refused(other, errc::invalid_argument);
  EXPECT_EQ(other.refusal->field, "operation_id");
  EXPECT_EQ(state.state_hash(), hash);
  EXPECT_FALSE(enter(put_ek("x", ek_a, "op-1")).refusal);
}

TEST_F(log_test, an_entry_that_comes_too_late_is_refused_and_not_remembered) {
  index = 9;
  const auto hash = state.state_hash();
  const auto late = enter(put_ek("x", ek_a, "op-1"), 9); // it is entry 10
  expect_refused(late, errc::unavailable);
  EXPECT_EQ(late.refusal->field, "operation_id");
  EXPECT_THAT(late.refusal->message, testing::HasSubstr("ask again"));
  EXPECT_EQ(state.state_hash(), hash);
  EXPECT_FALSE(enter(put_ek("x", ek_a, "op-1"), 11).refusal); // 11 is in time
  // What is remembered is answered at any time.
  const auto again = enter(put_ek("x", ek_a, "op-1"), 11);
  EXPECT_FALSE(again.refusal);
  EXPECT_TRUE(again.repeated);
}

TEST_F(log_test, a_second_entry_finds_the_first_or_is_too_late) {
  // Proposed at applied index 0; the second entry lies as far behind the first as it may.
  const std::uint64_t valid_until = operations_remembered_max;
  const auto twice = command(config_action::create, object_kind::endorsement_key, "x",
                             R"({"spki_sha256":")" + ek_a + "\"}", "op");
  EXPECT_FALSE(enter(twice, valid_until).refusal);
  while (index + 1 < valid_until)
    enter(put_ek("y", index % 2 == 0 ? ek_a : ek_b, "op-" + std::to_string(index)));
  const auto within = enter(twice, valid_until);
  EXPECT_FALSE(within.refusal);
  EXPECT_TRUE(within.repeated);
  enter(put_ek("y", ek_a, "one"));
  enter(put_ek("y", ek_a, "two"));
  expect_refused(enter(twice, valid_until), errc::unavailable);
}

TEST_F(log_test, entries_without_an_id_are_refused_and_not_remembered) {
  const auto hash = state.state_hash();
  expect_refused(enter(put_ek("x", ek_a)), errc::invalid_argument);
  EXPECT_EQ(state.state_hash(), hash);
}

TEST_F(log_test, long_refusals_are_cut_where_a_character_ends) {
  std::string name;
  while (name.size() < 2 * refusal_text_bytes_max)
    name += "\u00e4";
  auto c = put_ek("x", ek_a, "op-1");
  c.document.insert(1, "\"" + name + "\":1,");
  const auto change = enter(c);
  expect_refused(change, errc::invalid_argument);
  EXPECT_LE(change.refusal->field.size(), refusal_text_bytes_max);
  EXPECT_GT(change.refusal->field.size(), refusal_text_bytes_max - 4);
  EXPECT_NE(static_cast<unsigned char>(change.refusal->field.back()) & 0xC0U, 0xC0U);
  const auto read = read_operation(octets_of(*state.operations().back()));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->refusal->field, change.refusal->field);
}

TEST_F(log_test, the_state_hash_tells_any_difference) {
  std::vector<crypto::sha256_digest> seen{state.state_hash()};
  const auto expect_another = [&](const char* after) {
    const auto hash = state.state_hash();
    for (const auto& earlier : seen)
      EXPECT_NE(hash, earlier) << after;
    seen.push_back(hash);
  };
  enter(put_ek("x", ek_a, "op-1"));
  expect_another("an object");
  enter(put_host("h", ek_a, false)); // no id: refused, nothing remembered
  EXPECT_EQ(state.state_hash(), seen.back());
  auto host = put_host("h", ek_a, false);
  host.operation_id = "op-2";
  enter(host);
  expect_another("a host");
  enter(put_ek("x", ek_a, "op-3"));
  expect_another("an operation that changed nothing");
  enter(put_ek("x", "aa", "op-4"));
  expect_another("a refusal");
  state.set_applied(100);
  EXPECT_EQ(state.state_hash(), seen.back()) << "the applied index is not in it";
  // The same objects at another revision.
  apply(put_ek("y", ek_a));
  expect_another("another object");
  apply(command(config_action::erase, object_kind::endorsement_key, "y"));
  expect_another("another revision");
  // A host alone, without an operation.
  apply(put_host("h", ek_a, true));
  expect_another("another host");
}

TEST_F(log_test, equal_logs_make_equal_states) {
  config_state other;
  std::vector<config_command> log;
  for (int i = 0; i < 300; ++i) {
    const auto name = "n" + std::to_string(i % 40);
    auto c = i % 7 == 3   ? command(config_action::erase, object_kind::endorsement_key, name)
             : i % 5 == 1 ? put_host(name, crypto::hex(crypto::sha256(as_bytes(name))), i % 2 == 0)
                          : put_ek(name, i % 3 == 0 ? ek_a : ek_b);
    c.operation_id = "op-" + std::to_string(i - i % 11 / 10);
    log.push_back(std::move(c));
  }
  std::vector<config_state> copies; // whoever holds old states changes nothing
  for (const auto& c : log) {
    enter(c);
    copies.push_back(other);
    const auto change = other.judge({c, 0}, index);
    other.commit(change);
    ASSERT_EQ(other.state_hash(), state.state_hash());
  }
  EXPECT_EQ(copies.front().revision(), 0U);
  EXPECT_TRUE(copies.front().operations().empty());
}

} // namespace custos::cluster

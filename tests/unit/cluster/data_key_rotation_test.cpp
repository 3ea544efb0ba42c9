#include "cluster/data_key_rotation.hpp"

#include "adapters/jose/jose.hpp"
#include "cluster/config_state.hpp"
#include "cluster/node_store.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using custos::test::temporary_directory;
using test::now;
using testing::ElementsAre;
using testing::IsEmpty;

/// More steps than any rotation here takes.
constexpr int steps_max = 40;

/// A cluster of real data directories around one state of the configuration.
class rotation : public testing::Test {
protected:
  rotation() {
    add_node("n1", first_data_key_ring());
    add_node("n2", at("n1").seals()->ring());
    apply(principal_of("admin"));
    key_provider p;
    p.name = "p";
    p.servers = {{"s", "kms.example.org", 5696}};
    p.username = "u";
    p.password = sealed("the password", password_use("p"));
    p.client_private_key = sealed("a key", client_private_key_use("p"));
    apply(put(object_kind::key_provider, "p", p));
    key_provider q = p;
    q.name = "q";
    q.username.clear();
    q.password = {};
    q.client_private_key = sealed("another key", client_private_key_use("q"));
    apply(put(object_kind::key_provider, "q", q));
    key_provider bare = q;
    bare.name = "bare";
    bare.client_private_key = {};
    apply(put(object_kind::key_provider, "bare", bare));
    token_key t;
    t.algorithm = "ES256";
    t.public_key = crypto::generate_p256().value().spki_der();
    t.sealed_private_key = sealed("a signing key", token_key_use("t")).sealed;
    t.signs_until = t.expires = now;
    apply(put(object_kind::token_key, "t", t));
  }

  void add_node(const std::string& name, const data_key_ring& ring) {
    if (!keys)
      keys = generate_cluster_keys("lab", "https://lab.example.org", now).value();
    node_identity identity;
    identity.name = name;
    identity.tls_key = crypto::generate_p256().value();
    identity.certificate =
        issue_node_certificate(*keys, {name, {name + ".example.org"}, {}}, identity.tls_key, now)
            .value();
    new_node made{*keys, ring, identity};
    made.replica = nodes.size() + 1;
    const auto done = create_node_store(directory.path() / name, made);
    ASSERT_TRUE(done.ok()) << done.failure().message;
    open(name);
    members.push_back({name, identity.certificate.public_key()});
  }
  void open(const std::string& name) {
    nodes.erase(name);
    auto node = node_store::open(directory.path() / name);
    ASSERT_TRUE(node.ok()) << node.failure().message;
    nodes[name] = *node;
  }
  node_store& at(const std::string& name) { return *nodes.at(name); }

  static config_command principal_of(const std::string& name) {
    config_command out;
    out.kind = object_kind::principal;
    out.name = name;
    out.document = write_object(principal{name, role::administrator});
    return out;
  }
  static config_command put(object_kind kind, const std::string& name,
                            const config_object& object) {
    config_command out;
    out.kind = kind;
    out.name = name;
    out.document = write_object(object);
    return out;
  }
  sealed_secret sealed(std::string_view secret, const std::string& use,
                       const std::string& by = "n1") {
    return at(by).seals()->seal(as_bytes(secret), use).value();
  }
  errc try_apply(const config_command& command) {
    auto done = state.apply(command);
    if (!done)
      return done.failure().code;
    state = std::move(done->next);
    return errc{};
  }
  void apply(const config_command& command) { ASSERT_EQ(try_apply(command), errc{}); }

  void follow(const std::string& name) {
    EXPECT_THAT(at(name).follow_data_keys(*state.snapshot(), members), IsEmpty()) << name;
  }
  void all_follow() {
    for (const auto& [name, node] : nodes)
      follow(name);
  }
  rotation_plan plan(const std::string& leader) {
    return rotation_step(*state.snapshot(), members, *at(leader).seals());
  }
  /// Begins a rotation as a node does that is asked to; returns the new key's id.
  data_key_id begin(const std::string& by) {
    const auto made = make_data_key(*state.snapshot(), members, *at(by).seals(), now);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.failure().message);
    apply(create_command(made->object));
    return *data_key_id_of(made->object.name);
  }
  /// Steps, another node leading at each, until nobody has anything to do.
  int settle() {
    for (int steps = 0; steps < steps_max; ++steps) {
      all_follow();
      everything_opens_everywhere();
      std::vector<std::string> names;
      for (const auto& [name, node] : nodes)
        names.push_back(name);
      const auto& leader = names[static_cast<std::size_t>(steps) % names.size()];
      const auto next = plan(leader);
      EXPECT_THAT(next.problems, IsEmpty());
      if (!next.next)
        return steps;
      EXPECT_EQ(next.next->if_revision, state.revision());
      EXPECT_EQ(next.next->actor, "cluster");
      apply(*next.next);
    }
    ADD_FAILURE() << "it does not come to an end";
    return steps_max;
  }
  void everything_opens_everywhere() {
    const auto s = state.snapshot();
    const auto& p = s->key_providers.at("p");
    for (const auto& [name, node] : nodes) {
      const auto text = [seals = node->seals()](const sealed_secret& value,
                                                const std::string& use) {
        const auto out = seals->open(value, use);
        return out ? std::string(as_text(out->reveal_secret())) : out.failure().message;
      };
      EXPECT_EQ(text(p.password, password_use("p")), "the password") << name;
      EXPECT_EQ(text(p.client_private_key, client_private_key_use("p")), "a key") << name;
      EXPECT_EQ(text(s->key_providers.at("q").client_private_key, client_private_key_use("q")),
                "another key");
      EXPECT_EQ(text({s->token_keys.at("t").sealed_private_key}, token_key_use("t")),
                "a signing key");
      // What is sealed here opens everywhere, whoever seals.
      const auto fresh = node->seals()->seal(as_bytes("x"), "use").value();
      for (const auto& [other, opens] : nodes)
        EXPECT_TRUE(opens->seals()->open(fresh, "use").ok()) << name << " to " << other;
    }
  }
  std::vector<std::string> objects() {
    std::vector<std::string> out;
    for (const auto& [name, object] : state.snapshot()->data_keys)
      out.push_back(name);
    return out;
  }

  temporary_directory directory;
  std::optional<cluster_keys> keys;
  std::map<std::string, std::shared_ptr<node_store>> nodes;
  std::vector<key_recipient> members;
  config_state state;
};

} // namespace

TEST_F(rotation, is_not_there_until_it_is_begun) {
  EXPECT_FALSE(plan("n1").next);
  EXPECT_FALSE(current_data_key(*state.snapshot(), members));
  EXPECT_THAT(data_keys_in_use(*state.snapshot()), ElementsAre(at("n1").seals()->current()));
}

TEST_F(rotation, comes_to_an_end) {
  const auto first = at("n1").seals()->current();
  const auto second = begin("n1");
  EXPECT_EQ(current_data_key(*state.snapshot(), members), second);
  EXPECT_FALSE(current_data_key(*state.snapshot(), {})) << "who the members are is not known yet";
  EXPECT_FALSE(plan("n1").next) << "it does not hold the key yet";
  all_follow();
  EXPECT_EQ(plan("n1").values_left, 4U);
  EXPECT_EQ(settle(), 3) << "two providers and a signing key";
  EXPECT_THAT(data_keys_in_use(*state.snapshot()), ElementsAre(second));
  EXPECT_THAT(objects(), ElementsAre(text_of(second)));
  EXPECT_EQ(plan("n2").values_left, 0U);
  for (const auto* const name : {"n1", "n2"}) {
    EXPECT_EQ(at(name).seals()->current(), second);
    EXPECT_TRUE(at(name).seals()->holds(first)) << "kept a while";
    open(name); // all of it is on disk
    EXPECT_EQ(at(name).seals()->current(), second);
    EXPECT_TRUE(at(name).seals()->holds(first));
    EXPECT_EQ(at(name).keys()->cluster_id, keys->cluster_id);
  }
  everything_opens_everywhere();
}

TEST_F(rotation, removes_the_object_of_the_key_before) {
  const auto second = begin("n1");
  settle();
  const auto third = begin("n2");
  EXPECT_THAT(objects(), testing::UnorderedElementsAre(text_of(second), text_of(third)));
  EXPECT_EQ(settle(), 4);
  EXPECT_THAT(objects(), ElementsAre(text_of(third)));
  EXPECT_THAT(data_keys_in_use(*state.snapshot()), ElementsAre(third));
}

TEST_F(rotation, of_two_at_once_the_newer_one_counts) {
  const auto second = begin("n1");
  const auto third = begin("n2"); // the clock stood still
  EXPECT_GT(state.snapshot()->data_keys.at(text_of(third)).created,
            state.snapshot()->data_keys.at(text_of(second)).created);
  settle();
  EXPECT_THAT(objects(), ElementsAre(text_of(third)));
  EXPECT_THAT(data_keys_in_use(*state.snapshot()), ElementsAre(third));
}

TEST_F(rotation, takes_a_member_that_comes_in_the_middle) {
  const auto second = begin("n1");
  all_follow();
  apply(*plan("n1").next); // one object is re-sealed
  // n3 was given the keys by a node that knew the new one, or by one that did not.
  add_node("n3", at("n1").seals()->ring());
  add_node("n4", ring_of(at("n1").seals()->ring().keys.front().key));
  EXPECT_FALSE(current_data_key(*state.snapshot(), members));
  EXPECT_EQ(missing_recipients(state.snapshot()->data_keys.at(text_of(second)), members),
            (std::vector<std::string>{"n3", "n4"}));
  for (const auto* const name : {"n1", "n3"}) {
    follow(name);
    EXPECT_EQ(at(name).seals()->current(), second) << "no way back to the old key";
  }
  const auto next = plan("n2");
  ASSERT_TRUE(next.next);
  EXPECT_EQ(next.next->kind, object_kind::data_key);
  apply(*next.next);
  EXPECT_EQ(settle(), 2);
  EXPECT_EQ(at("n4").seals()->current(), second);
  EXPECT_THAT(data_keys_in_use(*state.snapshot()), ElementsAre(second));
}

TEST_F(rotation, seals_under_no_key_that_a_member_cannot_open) {
  const auto first = at("n1").seals()->current();
  const auto made =
      make_data_key(*state.snapshot(), {members.front()}, *at("n1").seals(), now).value();
  apply(create_command(made.object));
  follow("n1");
  EXPECT_TRUE(at("n1").seals()->holds(id_of(*made.key)));
  EXPECT_EQ(at("n1").seals()->current(), first);
  follow("n2");
  EXPECT_FALSE(at("n2").seals()->holds(id_of(*made.key)));
  // Who has not the key cannot give it to others.
  const auto without = plan("n2");
  EXPECT_FALSE(without.next);
  ASSERT_EQ(without.problems.size(), 1U);
  EXPECT_EQ(without.problems.front().code, errc::not_found);
  apply(*plan("n1").next);
  settle();
  EXPECT_EQ(at("n2").seals()->current(), id_of(*made.key));
}

TEST_F(rotation, encrypts_again_for_a_member_with_another_tls_key) {
  begin("n1");
  settle();
  const auto before = state.snapshot()->data_keys.begin()->second.wrapped;
  auto identity = at("n2").identity();
  identity.tls_key = crypto::generate_p256().value();
  identity.certificate =
      issue_node_certificate(*keys, {"n2", {"n2.example.org"}, {}}, identity.tls_key, now).value();
  ASSERT_TRUE(at("n2").replace_identity(identity).ok());
  open("n2");
  members[1].tls_public = identity.tls_key;
  EXPECT_EQ(settle(), 1);
  const auto object = state.snapshot()->data_keys.begin()->second;
  EXPECT_EQ(object.wrapped.at("n1"), before.at("n1"));
  EXPECT_NE(object.wrapped.at("n2"), before.at("n2"));
  EXPECT_TRUE(open_data_key(object, "n2", identity.tls_key).ok());
}

TEST_F(rotation, of_a_step_taken_twice_one_counts) {
  begin("n1");
  all_follow();
  const auto one = plan("n1").next;
  const auto two = plan("n2").next;
  ASSERT_TRUE(one && two);
  apply(*one);
  EXPECT_EQ(try_apply(*two), errc::revision_conflict);
  EXPECT_EQ(settle(), 2);
}

TEST_F(rotation, waits_with_the_removal_for_values_it_cannot_open) {
  const auto second = begin("n1");
  settle();
  auto p = state.snapshot()->key_providers.at("p");
  p.password.sealed.back() ^= 1U;
  apply(put(object_kind::key_provider, "p", p));
  begin("n1");
  all_follow();
  for (int i = 0; i < steps_max; ++i) {
    const auto next = plan("n1");
    if (!next.next) {
      EXPECT_EQ(next.problems.size(), 1U);
      EXPECT_EQ(next.values_left, 2U) << "those of the provider";
      break;
    }
    apply(*next.next);
  }
  EXPECT_TRUE(state.snapshot()->data_keys.contains(text_of(second)));
}

TEST_F(rotation, forgets_keys_long_retired) {
  const auto first = at("n1").seals()->current();
  for (std::size_t i = 0; i < retired_data_keys_kept; ++i) {
    begin("n1");
    settle();
    EXPECT_TRUE(at("n1").seals()->holds(first));
  }
  begin("n2");
  settle();
  all_follow();
  for (const auto* const name : {"n1", "n2"}) {
    EXPECT_FALSE(at(name).seals()->holds(first)) << name;
    EXPECT_EQ(at(name).seals()->ring().keys.size(), retired_data_keys_kept + 1);
    open(name);
    EXPECT_FALSE(at(name).seals()->holds(first)) << name;
  }
  everything_opens_everywhere();
}

// ---- the parts ----------------------------------------------------------------------------------

TEST_F(rotation, object_opens_for_its_members_only) {
  const auto made = make_data_key(*state.snapshot(), members, *at("n1").seals(), now).value();
  const auto own = at("n1").identity();
  const auto opened = open_data_key(made.object, "n1", own.tls_key);
  ASSERT_TRUE(opened.ok()) << opened.failure().message;
  EXPECT_TRUE(crypto::equal(opened->reveal_secret(), made.key->reveal_secret()));
  EXPECT_EQ(open_data_key(made.object, "n9", own.tls_key).failure().code, errc::not_found);
  EXPECT_EQ(open_data_key(made.object, "n2", own.tls_key).failure().code, errc::crypto_failure);
  // Another key than the object says: not taken.
  auto renamed = made.object;
  renamed.name = "00000000";
  EXPECT_EQ(open_data_key(renamed, "n1", own.tls_key).failure().code, errc::crypto_failure);
  EXPECT_EQ(at("n1").adopt_data_key(renamed).failure().code, errc::crypto_failure);
  auto shorter = made.object;
  shorter.wrapped["n1"] = jose::encrypt_ecdh_es_a256kw(own.tls_key, "kid", bytes(16, 1)).value();
  EXPECT_EQ(open_data_key(shorter, "n1", own.tls_key).failure().code, errc::crypto_failure);
}

TEST_F(rotation, object_reads_back_as_configuration) {
  const auto made = make_data_key(*state.snapshot(), members, *at("n1").seals(), now).value();
  const auto document = write_object(made.object);
  const auto back = read_object(object_kind::data_key, made.object.name, document);
  ASSERT_TRUE(back.ok()) << back.failure().message;
  EXPECT_EQ(write_object(*back), document);
  EXPECT_THAT(missing_recipients(std::get<data_key>(*back), members), IsEmpty());
}

TEST_F(rotation, refuses_members_it_cannot_encrypt_for) {
  const auto& seals = *at("n1").seals();
  EXPECT_EQ(make_data_key(*state.snapshot(), {}, seals, now).failure().field, "members");
  EXPECT_FALSE(
      make_data_key(*state.snapshot(), {{"n1", crypto::generate_p384().value()}}, seals, now).ok());
}

TEST_F(rotation, store_keeps_its_current_key) {
  auto& node = at("n1");
  const auto current = node.seals()->current();
  EXPECT_EQ(node.forget_data_key(current).failure().code, errc::invalid_argument);
  EXPECT_EQ(node.forget_data_key({1, 2, 3, 4}).failure().code, errc::not_found);
  EXPECT_EQ(node.use_data_key({1, 2, 3, 4}).failure().code, errc::not_found);
  EXPECT_TRUE(node.use_data_key(current).ok());
}

} // namespace custos::cluster

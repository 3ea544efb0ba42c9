#include "cluster/bootstrap.hpp"
#include "cluster/config_storage.hpp"
#include "cluster/replica/raft_store.hpp"
#include "cluster/replica/wire.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using custos::test::temporary_directory;
using test::now;
using testing::HasSubstr;

namespace fs = std::filesystem;

const std::string url = "https://n1.example.org:8443";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// A first node that is asked, and the place of a second one.
class join : public testing::Test {
protected:
  join() {
    init_options options;
    options.data_dir = directory.path() / "first";
    options.cluster_name = "lab";
    options.node_name = "n1";
    options.dns_names = {"n1.example.org"};
    options.now = now;
    EXPECT_TRUE(init_cluster(options).ok());
    auto opened = node_store::open(options.data_dir);
    EXPECT_TRUE(opened.ok());
    first = *opened;
  }
  fs::path second_dir() const { return directory.path() / "second"; }
  std::string token(std::uint32_t life_s = 600) {
    return issue_join_token(*first, url, life_s, now).value();
  }
  join_attempt attempt(const std::string& with_token, const std::string& name = "n2") {
    auto out = make_join_request(second_dir(), with_token, {name, {"n2.example.org"}, {}});
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().message);
    return std::move(*out);
  }
  struct answered_join {
    std::string node_name;
    std::string body;
  };
  /// As a running node answers, with a cluster that takes in whoever is admitted.
  result<answered_join> answer(const std::string& request, crypto::unix_seconds at) {
    CUSTOS_TRY(const auto admission, admit_node(*first, request, at));
    const auto own = member_info_of(first->identity(), {"n1.example.org", 7443});
    const raft::membership members{
        {1, raft::member_role::voter, write_member_info(own)},
        {2, raft::member_role::standby, write_member_info(admission.info)}};
    CUSTOS_TRY(auto body, answer_join(*first, admission, 2, replica::encode(members)));
    return answered_join{admission.info.name, std::move(body)};
  }
  void expect_no_second_node() {
    EXPECT_FALSE(is_initialized(second_dir()));
    if (fs::exists(second_dir())) {
      for (const auto& entry : fs::directory_iterator(second_dir()))
        EXPECT_EQ(entry.path().filename(), ".node.lock");
    }
  }

  temporary_directory directory;
  std::shared_ptr<node_store> first;
};

} // namespace

TEST_F(join, tokens_say_where_and_whom) {
  const auto parsed = parse_join_token(token());
  ASSERT_TRUE(parsed.ok()) << parsed.failure().message;
  EXPECT_EQ(parsed->url, url);
  EXPECT_EQ(parsed->ca_fingerprint, first->keys()->ca_certificate.fingerprint());
  EXPECT_EQ(parsed->secret.size(), join_secret_bytes);
}

TEST_F(join, refuses_what_is_no_token) {
  const auto good = token();
  const auto octets = crypto::from_base64url(good).value();
  EXPECT_EQ(parse_join_token("").failure().field, "token");
  EXPECT_EQ(parse_join_token("not base64!").failure().code, errc::malformed);
  EXPECT_EQ(parse_join_token(std::string(4000, 'A')).failure().code, errc::malformed);
  for (std::size_t size = 0; size < octets.size(); ++size)
    EXPECT_FALSE(parse_join_token(crypto::base64url(byte_view(octets).first(size))).ok()) << size;
  auto longer = octets;
  longer.push_back(0);
  EXPECT_FALSE(parse_join_token(crypto::base64url(longer)).ok());
  auto other = octets;
  other[0] = 2;
  EXPECT_EQ(parse_join_token(crypto::base64url(other)).failure().code, errc::unsupported);
  other = octets;
  other[3] = 'x'; // "xttps://": never ask over anything else
  EXPECT_FALSE(parse_join_token(crypto::base64url(other)).ok());
}

TEST_F(join, refuses_odd_tokens_to_issue) {
  for (const std::string bad : {"", "http://a", "https://", "https://a b", "https://a\"b"})
    EXPECT_EQ(issue_join_token(*first, bad, 600, now).failure().field, "url") << bad;
  EXPECT_FALSE(issue_join_token(*first, "https://" + std::string(505, 'a'), 600, now).ok());
  EXPECT_EQ(issue_join_token(*first, url, 59, now).failure().field, "life_s");
  EXPECT_EQ(issue_join_token(*first, url, join_token_life_s_max + 1, now).failure().field,
            "life_s");
}

TEST_F(join, bounds_the_tokens_and_forgets_expired_ones) {
  for (std::size_t i = 0; i < join_tokens_max; ++i)
    token(600);
  EXPECT_EQ(issue_join_token(*first, url, 600, now + 599).failure().code, errc::too_large);
  EXPECT_TRUE(issue_join_token(*first, url, 600, now + 600).ok());
  EXPECT_EQ(first->store()->scan("join-token/")->size(), 1U);
}

TEST_F(join, makes_a_second_node_of_the_same_cluster) {
  const auto asked = attempt(token());
  const auto answered = answer(asked.request, now + 1);
  ASSERT_TRUE(answered.ok()) << answered.failure().message;
  EXPECT_EQ(answered->node_name, "n2");
  const auto accepted = accept_join_answer(second_dir(), asked, answered->body, now + 2);
  ASSERT_TRUE(accepted.ok()) << accepted.failure().message;

  const auto second = node_store::open(second_dir());
  ASSERT_TRUE(second.ok()) << second.failure().message;
  EXPECT_EQ((*second)->keys()->cluster_id, first->keys()->cluster_id);
  EXPECT_EQ((*second)->keys()->token_kid, first->keys()->token_kid);
  EXPECT_EQ((*second)->identity().name, "n2");
  EXPECT_EQ((*second)->identity().certificate.dns_names(),
            std::vector<std::string>{"n2.example.org"});
  // The configuration comes through the log; it knows whom to listen to, and votes for nobody yet.
  EXPECT_EQ(load_state(*(*second)->store()).failure().code, errc::not_found);
  const auto joined = replica::load_replica(*(*second)->store());
  ASSERT_TRUE(joined.ok()) << joined.failure().message;
  EXPECT_EQ(joined->self, 2U);
  EXPECT_EQ(joined->base.index, 0U);
  const auto known = replica::known_members(joined->introduction);
  ASSERT_EQ(known.size(), 2U);
  EXPECT_EQ(known[1].info.host, "n2.example.org");
  EXPECT_EQ(known[1].info.port, default_link_port);
  EXPECT_EQ(known[1].info.certificates,
            std::vector{(*second)->identity().certificate.fingerprint()});
  // What one node sealed, the other opens.
  const auto sealed = first->seals()->seal(as_bytes("password"), password_use("p")).value();
  EXPECT_EQ(as_text((*second)->seals()->open(sealed, password_use("p"))->reveal_secret()),
            "password");
  // Their node keys differ.
  EXPECT_NE(custos::test::file_content(directory.path() / "first/node/node.key"),
            custos::test::file_content(second_dir() / "node/node.key"));
}

TEST_F(join, a_token_is_good_once) {
  const auto one = token();
  const auto a = attempt(one);
  const auto b = attempt(one, "n3");
  ASSERT_TRUE(answer(a.request, now).ok());
  for (const auto& again : {a.request, b.request}) {
    const auto answered = answer(again, now);
    ASSERT_FALSE(answered.ok());
    EXPECT_EQ(answered.failure().code, errc::unauthenticated);
  }
}

TEST_F(join, a_token_expires) {
  const auto a = attempt(token(600));
  EXPECT_EQ(answer(a.request, now + 600).failure().code, errc::unauthenticated);
  EXPECT_TRUE(answer(a.request, now + 599).ok());
}

TEST_F(join, an_unknown_secret_is_refused) {
  token();
  const auto a = attempt(token());
  const auto secret = crypto::base64url(a.token.secret.reveal_secret());
  const auto other = crypto::base64url(crypto::random_bytes(join_secret_bytes));
  for (const auto& wrong : {other, std::string("AA"), std::string("!"), std::string()})
    EXPECT_EQ(answer(with(a.request, secret, wrong), now).failure().code, errc::unauthenticated);
}

TEST_F(join, a_bad_request_names_the_field_and_keeps_the_token) {
  const auto a = attempt(token());
  struct refused {
    std::string from, to, field;
  };
  const auto secret = crypto::base64url(a.token.secret.reveal_secret());
  const std::vector<refused> cases{
      {R"("node_name":"n2")", R"("node_name":"n/2")", "/node_name"},
      {R"("node_name":"n2")", R"("node_name":"n1")", "/node_name"},
      {R"("node_name":"n2")", R"("node":"n2")", "/node_name"},
      {R"("dns_names":["n2.example.org"])", R"("dns_names":[])", "/dns_names"},
      {R"("dns_names":["n2.example.org"])", R"("dns_names":["a b"])", "/dns_names"},
      {R"("ip_addresses":[])", R"("ip_addresses":["x"])", "/ip_addresses"},
      {R"("cluster_address":"n2.example.org:7443")", R"("cluster_address":"n2")",
       "/cluster_address"},
      {"BEGIN CERTIFICATE REQUEST", "BEGIN SOMETHING", "/csr"},
      {R"("crv":"P-256")", R"("crv":"P-521")", "/transport_key"},
      {R"("kty":"EC")", R"("kty":1)", "/transport_key/kty"},
      {R"("csr":)", R"("extra":1,"csr":)", "/extra"},
      {"\"" + secret + "\"", "5", "/secret"},
  };
  for (const auto& c : cases) {
    const auto answered = answer(with(a.request, c.from, c.to), now);
    ASSERT_FALSE(answered.ok()) << c.to;
    EXPECT_EQ(answered.failure().field, c.field) << c.to << ": " << answered.failure().message;
  }
  EXPECT_EQ(answer("{", now).failure().code, errc::malformed);
  EXPECT_EQ(answer(std::string(join_request_bytes_max + 1, ' '), now).failure().code,
            errc::too_large);
  EXPECT_TRUE(answer(a.request, now).ok());
}

TEST_F(join, a_token_that_was_given_back_is_good_again) {
  const auto a = attempt(token());
  const auto admission = admit_node(*first, a.request, now);
  ASSERT_TRUE(admission.ok());
  EXPECT_FALSE(admit_node(*first, a.request, now).ok());
  ASSERT_TRUE(give_back_token(*first, *admission).ok());
  EXPECT_TRUE(admit_node(*first, a.request, now).ok());
}

TEST_F(join, the_members_are_those_of_the_answer) {
  const auto mine = attempt(token());
  const auto body = answer(mine.request, now).value().body;
  const raft::membership others{{2, raft::member_role::standby, "{}"}};
  const auto from = body.find("\"members\":\"") + 11;
  const auto forged = body.substr(0, from) + crypto::base64url(replica::encode(others)) +
                      body.substr(body.find('"', from));
  const auto accepted = accept_join_answer(second_dir(), mine, forged, now);
  ASSERT_FALSE(accepted.ok());
  EXPECT_THAT(accepted.failure().message, HasSubstr("members"));
  expect_no_second_node();
}

TEST_F(join, a_node_takes_the_place_of_a_damaged_one) {
  const auto before = attempt(token());
  ASSERT_TRUE(
      accept_join_answer(second_dir(), before, answer(before.request, now).value().body, now).ok());
  const auto refused = make_join_request(second_dir(), token(), {"n2", {"n2.example.org"}, {}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, errc::already_exists);
  const auto again = make_join_request(second_dir(), token(), {"n2", {"n2.example.org"}, {}}, true);
  ASSERT_TRUE(again.ok()) << again.failure().message;
  const auto body = answer(again->request, now).value().body;
  {
    const auto running = node_store::open(second_dir());
    ASSERT_TRUE(running.ok());
    EXPECT_EQ(accept_join_answer(second_dir(), *again, body, now).failure().code,
              errc::unavailable);
  }
  ASSERT_TRUE(accept_join_answer(second_dir(), *again, body, now).ok());
  EXPECT_TRUE(
      node_store::open(second_dir())->get()->identity().tls_key.same_public(again->tls_key));
  std::size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(second_dir()))
    entries += entry.path().filename().string().starts_with(".node-") ? 1 : 0;
  EXPECT_EQ(entries, 0U) << "what was replaced is gone";
}

TEST_F(join, the_answer_is_only_for_who_asked) {
  const auto mine = attempt(token());
  const auto answered = answer(mine.request, now).value();
  const auto other = attempt(token(), "n3");
  EXPECT_FALSE(accept_join_answer(second_dir(), other, answered.body, now).ok());
  expect_no_second_node();
  for (const auto& secret : {first->seals()->ring().keys.front().key, first->keys()->challenge_key})
    EXPECT_EQ(answered.body.find(crypto::base64url(secret->reveal_secret())), std::string::npos);
}

TEST_F(join, the_answer_must_be_of_the_cluster_that_the_token_names) {
  auto mine = attempt(token());
  const auto answered = answer(mine.request, now).value();
  mine.token.ca_fingerprint[0] ^= 1U;
  const auto accepted = accept_join_answer(second_dir(), mine, answered.body, now);
  ASSERT_FALSE(accepted.ok());
  EXPECT_THAT(accepted.failure().message, HasSubstr("CA certificate"));
  expect_no_second_node();
}

TEST_F(join, the_certificate_must_be_for_our_key_and_valid) {
  auto mine = attempt(token());
  const auto answered = answer(mine.request, now).value();
  EXPECT_FALSE(
      accept_join_answer(second_dir(), mine, answered.body, now + node_certificate_life_s + 1)
          .ok());
  mine.node.name = "n9";
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, answered.body, now).ok());
  mine.node.name = "n2";
  mine.tls_key = crypto::generate_p256().value();
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, answered.body, now).ok());
  expect_no_second_node();
}

TEST_F(join, a_changed_answer_is_noticed) {
  const auto mine = attempt(token());
  const auto body = answer(mine.request, now).value().body;
  for (std::size_t at = 3; at < body.size(); at += 97) {
    auto changed = body;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(accept_join_answer(second_dir(), mine, changed, now).ok()) << at;
  }
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, "{}", now).ok());
  EXPECT_FALSE(accept_join_answer(second_dir(), mine, body.substr(0, body.size() / 2), now).ok());
  expect_no_second_node();
  EXPECT_TRUE(accept_join_answer(second_dir(), mine, body, now).ok());
}

TEST_F(join, a_directory_with_a_node_joins_nothing) {
  const auto made = make_join_request(directory.path() / "first", token(), {"n2", {"a"}, {}});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.failure().code, errc::already_exists);
  const auto mine = attempt(token());
  const auto answered = answer(mine.request, now).value();
  EXPECT_EQ(accept_join_answer(directory.path() / "first", mine, answered.body, now).failure().code,
            errc::already_exists);
}

TEST_F(join, an_unwritable_directory_is_an_error) {
  const auto mine = attempt(token());
  const auto answered = answer(mine.request, now).value();
  custos::test::write_file(directory.path() / "file", "");
  EXPECT_EQ(
      accept_join_answer(directory.path() / "file" / "x", mine, answered.body, now).failure().code,
      errc::storage_failure);
}

} // namespace custos::cluster

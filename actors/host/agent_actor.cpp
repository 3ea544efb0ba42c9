#include "actors/host/agent_actor.hpp"

#include "actors/attestation/ak_certificate.hpp"
#include "actors/attestation/ticket.hpp"
#include "actors/gateway/wire.hpp"
#include "actors/host/attempt_clock.hpp"
#include "actors/host/attempt_policy.hpp"
#include "actors/host/enrolment.hpp"
#include "actors/host/node_caller.hpp"
#include "actors/host/transport.hpp"
#include "adapters/jose/jose.hpp"
#include "messages/caf_error.hpp"
#include "messages/config_commands.hpp"

namespace custos::host {

namespace {

constexpr std::chrono::seconds tpm_budget{60};

/// Entries of the IMA log that a node has judged: it knows them of this boot and this key only.
struct judged_entries {
  std::string node;
  std::uint32_t resets = 0;
  std::uint64_t count = 0;
};

class agent_actor : public host_agent_api::base {
public:
  agent_actor(caf::actor_config& config, agent_dependencies given)
      : host_agent_api::base(config), given_(std::move(given)), nodes_(run_here()) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "host_agent"; }

  /// A promise that is kept would keep this actor, too.
  void on_exit() override {
    for (auto& promise : waiting_)
      promise.deliver(to_caf(make_error(errc::cancelled, "the agent is stopping")));
    waiting_.clear();
  }

  host_agent_api::behavior_type make_behavior() override {
    status_.host = given_.host;
    status_.state = "unconfigured";
    auto kept = load_services(*given_.store);
    if (!kept)
      fail(kept.failure());
    else if (*kept)
      use(**kept);
    return {
        [this](const host_services& s) { return apply(s); },
        [this](const clear_host_services&) { return clear(); },
        [this](const get_host_status&) -> caf::result<host_status> { return present(); },
        [this](const attest_now&) -> caf::result<host_status> {
          auto promise = make_response_promise<host_status>();
          waiting_.push_back(promise);
          policy_.begin_anew();
          begin();
          return promise;
        },
        [this](const request_key& r) { return ask_for_key(r); },
        [this](call_key_service& c) { return forward(std::move(c)); },
        [this](const tick& t) {
          if (t.id == timer_)
            wake();
        },
        [](const deferred_call& call) { (*call.run)(nullptr); },
    };
  }

private:
  using answered = node_caller::answered;

  // ---- configuration

  caf::result<services_applied> apply(const host_services& s) {
    if (auto saved = save_services(*given_.store, s); !saved)
      return to_caf(saved.failure());
    use(s);
    return services_applied{s.revision, services_fingerprint(s)};
  }

  caf::result<services_applied> clear() {
    if (auto erased = erase_services(*given_.store); !erased)
      return to_caf(erased.failure());
    if (auto erased = erase_enrolment(*given_.store); !erased)
      return to_caf(erased.failure());
    services_.reset();
    client_.reset();
    drop_token();
    enrolled_.reset();
    judged_ = {};
    ++attempt_;
    ++timer_;
    busy_ = false;
    status_ = host_status{};
    status_.host = given_.host;
    status_.state = "unconfigured";
    settle(); // whoever waits for an attempt: there will be none
    return services_applied{};
  }

  void use(const host_services& s) {
    services_ = s;
    status_.services_revision = s.revision;
    status_.services_fingerprint = services_fingerprint(s);
    client_.reset(); // other anchors, another connection, another key
    if (enrolled_ && enrolled_->authority != authority())
      enrolled_.reset(); // the certificate is of another trust authority
    drop_token();
    judged_ = {};
    status_.state = "attesting";
    policy_ = {};
    ++attempt_;
    busy_ = false;
    schedule(0);
  }

  // ---- time

  void schedule(std::int64_t after_s) {
    clock_.plan(given_.now(), after_s);
    sleep();
  }

  void sleep() {
    status_.next_attempt = clock_.due();
    ++timer_;
    delayed_send(this, std::chrono::seconds(clock_.sleep(given_.now())), tick{timer_});
  }

  void wake() {
    if (clock_.woke(given_.now(), crypto::random_bytes(1)[0]))
      return begin();
    sleep();
  }

  /// The status as of now: a token ends without anybody telling.
  host_status present() const {
    auto out = status_;
    if (out.state == "attested" && token_expires_ <= given_.now()) {
      out.state = "failed";
      if (out.error.empty())
        out.error = "the token has expired";
    }
    return out;
  }

  void changed() {
    if (given_.report)
      given_.report(status_);
  }

  void fail(const error& e) {
    ++attempt_; // late answers of this attempt count no more
    busy_ = false;
    // A whole log where a part was sent: another node was asked, or this one forgot.
    if (e.check == "ima-log" && e.retryable && std::exchange(judged_, {}).count != 0)
      return begin();
    const auto then = policy_.failed(e, crypto::random_bytes(1)[0]);
    if (then.forget_enrolment)
      forget_enrolment();
    if (then.drop_token)
      drop_token();
    status_.state = token_.empty() || token_expires_ <= given_.now() ? "failed" : status_.state;
    tell(e);
    schedule(then.wait_s);
    settle();
  }

  void tell(const error& e) {
    status_.error = e.message;
    status_.check = e.check;
    status_.pcr = e.pcr;
    status_.event = e.event;
    status_.retryable = e.retryable;
  }

  void drop_token() {
    token_.clear();
    token_expires_ = 0;
    if (given_.publish)
      given_.publish({});
  }

  void settle() {
    changed();
    for (auto& promise : waiting_)
      promise.deliver(status_);
    waiting_.clear();
  }

  // ---- HTTP

  /// From the client's threads into this actor, if it is still there.
  node_caller::runner run_here() {
    return [self = caf::weak_actor_ptr(ctrl())](std::function<void()> go_on) {
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(self))
        caf::anon_send(caf::actor_cast<caf::actor>(strong),
                       deferred_call{std::make_shared<std::function<void(caf::event_based_actor*)>>(
                           [go_on = std::move(go_on)](caf::event_based_actor*) { go_on(); })});
    };
  }

  void post(std::vector<std::string> nodes, std::string path, std::string body,
            std::vector<http::header> headers, answered finish) {
    nodes_.ask(client_, "POST", std::move(nodes), std::move(path), std::move(body),
               std::move(headers), std::move(finish));
  }

  /// Goes on with the decoded answer, or fails the attempt. Answers of an older attempt are
  /// dropped.
  template <class T>
  answered expect(result<T> (*decode)(std::string_view), std::function<void(T)> go_on) {
    return [this, attempt = attempt_, decode, go_on = std::move(go_on)](result<http::response> r) {
      if (attempt != attempt_)
        return;
      if (!r)
        return fail(r.failure());
      if (r->status != 200)
        return fail(http::error_of(*r));
      auto value = decode(r->body);
      if (!value)
        return fail(value.failure());
      go_on(*std::move(value));
    };
  }

  template <class Answer, class Message>
  void ask_tpm(Message message, std::function<void(Answer)> go_on) {
    const auto attempt = attempt_;
    request(given_.tpm, tpm_budget, std::move(message))
        .then(
            [this, attempt, go_on](Answer& a) {
              if (attempt == attempt_)
                go_on(std::move(a));
            },
            [this, attempt](const caf::error& e) {
              if (attempt == attempt_)
                fail(from_caf(e));
            });
  }

  // ---- the attempt, step by step

  void begin() {
    if (!services_ || services_->attestation.empty()) {
      status_.state = "unconfigured";
      status_.error = "no attestation service is configured";
      return settle();
    }
    if (busy_)
      return;
    busy_ = true;
    ++attempt_;
    if (token_.empty())
      status_.state = "attesting";
    if (auto ready = make_transport(); !ready)
      return fail(ready.failure());
    find_enrolment();
    if (!enrolled_)
      return ask_tpm<tpm_identity>(get_tpm_identity{},
                                   [this](tpm_identity i) { enrol(std::move(i)); });
    if (!ak_name_.empty())
      return challenge_step();
    ask_tpm<tpm_identity>(get_tpm_identity{true}, [this](tpm_identity i) { recognise(i); });
  }

  // ---- enrolment

  [[nodiscard]] std::string authority() const {
    return authority_of(services_->trusted_ca, given_.host);
  }

  /// The kept certificate counts if this trust authority issued it and its time is not up.
  void find_enrolment() {
    const auto now = given_.now();
    if (!enrolled_) {
      enrolled_ = load_enrolment(*given_.store);
      renewal_ = enrolled_ ? renew_at(*enrolled_, crypto::random_bytes(1)[0]) : 0;
    }
    if (enrolled_ &&
        (enrolled_->authority != authority() || now >= renewal_ || now < enrolled_->not_before))
      enrolled_.reset();
  }

  /// A certificate for a key that the TPM no longer has is of no use.
  void recognise(const tpm_identity& identity) {
    set_ak_name(identity.ak_name);
    if (enrolled_ && enrolled_->ak_name == identity.ak_name)
      return challenge_step();
    enrolled_.reset();
    ask_tpm<tpm_identity>(get_tpm_identity{}, [this](tpm_identity i) { enrol(std::move(i)); });
  }

  void set_ak_name(const bytes& name) {
    if (name != ak_name_)
      judged_ = {};
    ak_name_ = name;
    status_.ak_name = crypto::hex(name);
  }

  void forget_enrolment() {
    enrolled_.reset();
    // Not erased, it would be found again at a restart, and refused again: no harm.
    static_cast<void>(erase_enrolment(*given_.store));
  }

  result<void> make_transport() {
    if (client_)
      return {};
    CUSTOS_TRY(auto identity, make_transport_identity(given_.host, given_.now()));
    transport_ = identity.private_key;
    CUSTOS_TRY(client_, given_.connect(services_->trusted_ca, identity));
    return {};
  }

  void enrol(tpm_identity identity) {
    set_ak_name(identity.ak_name);
    attestation_key_request r;
    r.host = given_.host;
    r.ek_certificate = std::move(identity.ek_certificate);
    r.ek_intermediates = std::move(identity.ek_intermediates);
    r.ek_public = std::move(identity.ek_public);
    r.ak_public = std::move(identity.ak_public);
    post(services_->attestation, "/attestation/v1/attestation-keys",
         gateway::encode_attestation_key_request(r), {},
         expect<attestation_key_issued>(
             gateway::decode_attestation_key_issued, [this](attestation_key_issued issued) {
               activate_credential c{issued.credential_blob, issued.encrypted_secret};
               ask_tpm<credential_activated>(std::move(c),
                                             [this, issued](const credential_activated& a) {
                                               take_certificate(*a.secret, issued);
                                             });
             }));
  }

  void take_certificate(const crypto::secret_bytes& secret, const attestation_key_issued& issued) {
    auto der =
        attestation::decrypt_ak_certificate(secret.reveal_secret(), issued.encrypted_certificate);
    if (!der)
      return fail(der.failure());
    auto fresh = read_enrolment(*std::move(der), ak_name_, authority());
    if (!fresh)
      return fail(fresh.failure());
    if (auto saved = save_enrolment(*given_.store, *fresh); !saved)
      return fail(saved.failure());
    enrolled_ = *std::move(fresh);
    renewal_ = renew_at(*enrolled_, crypto::random_bytes(1)[0]);
    challenge_step();
  }

  // ---- quote and token

  void challenge_step() {
    post(services_->attestation, "/attestation/v1/challenges", "{}", {},
         expect<challenge>(gateway::decode_challenge,
                           [this](challenge c) { quote_step(std::move(c)); }));
  }

  void quote_step(challenge c) {
    auto thumbprint = jose::thumbprint_digest(transport_);
    if (!thumbprint)
      return fail(thumbprint.failure());
    make_quote wish{to_bytes(attestation::quote_binding(c.nonce, *thumbprint))};
    if (judged_.count != 0 && nodes_.preferred(services_->attestation) == judged_.node) {
      wish.ima_first = judged_.count;
      wish.ima_resets = judged_.resets;
    }
    ask_tpm<quote_made>(std::move(wish), [this, ticket = c.ticket](quote_made q) {
      evidence_step(std::move(q), ticket);
    });
  }

  void evidence_step(quote_made q, const std::string& ticket) {
    status_.boot = q.boot;
    if (q.ak_name != ak_name_) { // the TPM was cleared since: its new key is not enrolled yet
      set_ak_name(q.ak_name);
      forget_enrolment();
      return fail(make_error(errc::tpm_failure, "the attestation key is another one than before"));
    }
    if (q.ima_first == 0)
      judged_ = {};
    evidence e;
    e.host = given_.host;
    e.ticket = ticket;
    e.ak_certificate = enrolled_->certificate;
    e.quote = std::move(q.quote);
    e.signature = std::move(q.signature);
    e.pcrs = std::move(q.pcrs);
    e.event_log = std::move(q.event_log);
    e.transport_key = transport_.spki_der();
    e.ima_log = std::move(q.ima_log);
    e.ima_first = q.ima_first;
    e.reporting = static_cast<bool>(given_.publish);
    auto body = gateway::encode_evidence(e);
    if (!body)
      return fail(body.failure());
    post(services_->attestation, "/attestation/v1/tokens", *std::move(body), {},
         expect<attestation_granted>(gateway::decode_attestation_granted,
                                     [this](attestation_granted g) { granted(std::move(g)); }));
  }

  void granted(attestation_granted g) {
    const auto now = given_.now();
    if (g.expires <= now)
      return fail(make_error(errc::token_invalid, "the token had expired when it came: compare the "
                                                  "clocks of host and node"));
    busy_ = false;
    policy_.granted();
    judged_ = {nodes_.preferred(services_->attestation),
               status_.boot ? status_.boot->reset_count : 0, g.ima_entries};
    if (given_.publish)
      given_.publish(g.reporting_token);
    token_ = std::move(g.token);
    token_expires_ = g.expires;
    status_.state = "attested";
    status_.image = g.image;
    status_.image_version = g.image_version;
    status_.token_expires = g.expires;
    status_.last_attested = now;
    tell({});
    schedule(refresh_at(now, g.expires, crypto::random_bytes(1)[0]) - now);
    settle();
  }

  // ---- keys

  caf::result<key_ready> ask_for_key(const request_key& r) {
    if (!is_object_name(r.provider)) // it becomes part of a path
      return to_caf(field_error(errc::invalid_argument, "/provider",
                                "expected the name of a trusted key provider"));
    const bool generate = r.ciphertext.empty();
    const auto path = "/keys/v1/providers/" + r.provider + (generate ? "/generate" : "/decrypt");
    auto body = generate ? gateway::encode_generate(r.key_bytes, r.context)
                         : gateway::encode_decrypt(r.ciphertext, r.context);
    auto promise = make_response_promise<key_ready>();
    // The key comes encrypted to the transport key of now, whichever is in force when it is there.
    ask_key_service({"POST", path, std::move(body)},
                    [promise, transport = transport_](result<std::string> answer) mutable {
                      auto key = answer ? open_released(transport, *answer)
                                        : result<key_ready>(answer.failure());
                      if (key)
                        promise.deliver(*std::move(key));
                      else
                        promise.deliver(to_caf(key.failure()));
                    });
    return promise;
  }

  caf::result<key_service_answer> forward(call_key_service c) {
    auto promise = make_response_promise<key_service_answer>();
    ask_key_service(std::move(c), [promise](result<std::string> body) mutable {
      if (body)
        promise.deliver(key_service_answer{*std::move(body)});
      else
        promise.deliver(to_caf(body.failure()));
    });
    return promise;
  }

  /// With the token; gives the body of an answer with status 200.
  void ask_key_service(call_key_service c, std::function<void(result<std::string>)> finish) {
    if (!services_ || services_->keys.empty())
      return finish(make_error(errc::unavailable, "no key service is configured on this host"));
    if (token_.empty() || token_expires_ <= given_.now()) {
      auto e = make_error(errc::unavailable,
                          "the host is not attested: " +
                              (status_.error.empty() ? "no attempt has ended yet" : status_.error));
      e.retryable = status_.retryable;
      e.check = status_.check;
      e.pcr = status_.pcr;
      e.event = status_.event;
      return finish(std::move(e));
    }
    nodes_.ask(client_, std::move(c.method), services_->keys, std::move(c.path), std::move(c.body),
               {{"Authorization", "Bearer " + token_}},
               [this, finish = std::move(finish), token = token_](
                   const result<http::response>& answer) { finish(judged(answer, token)); });
  }

  result<std::string> judged(const result<http::response>& answer, const std::string& token) {
    if (!answer)
      return answer.failure();
    if (answer->status != 200) {
      auto e = http::error_of(*answer);
      if (wants_new_token(e) && token == token_)
        attest_anew(e);
      return e;
    }
    policy_.key_released();
    return answer->body;
  }

  void attest_anew(const error& e) {
    drop_token();
    status_.state = "attesting";
    tell(e);
    schedule(policy_.refused_by_gate(crypto::random_bytes(1)[0]));
    changed();
  }

  agent_dependencies given_;
  node_caller nodes_;
  attempt_clock clock_;
  attempt_policy policy_;
  std::optional<host_services> services_;
  std::shared_ptr<http::client> client_;
  crypto::key transport_;
  std::optional<enrolment> enrolled_;
  std::int64_t renewal_ = 0; ///< when to enrol again
  bytes ak_name_;            ///< empty until the TPM has told
  judged_entries judged_;
  std::string token_;
  std::int64_t token_expires_ = 0;
  host_status status_;
  std::vector<caf::typed_response_promise<host_status>> waiting_;
  std::uint64_t attempt_ = 0;
  std::uint64_t timer_ = 0;
  bool busy_ = false;
};

} // namespace

host_agent_api spawn_agent(caf::actor_system& system, agent_dependencies given) {
  return system.spawn<agent_actor>(std::move(given));
}

} // namespace custos::host

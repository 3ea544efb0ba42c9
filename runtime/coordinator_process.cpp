#include "runtime/coordinator_process.hpp"

#include "actors/audit/audit_actor.hpp"
#include "actors/coordinator/coordinator_api.hpp"
#include "actors/coordinator/proxy_actor.hpp"
#include "cluster/backup/content.hpp"
#include "runtime/bridge.hpp"
#include "runtime/files.hpp"
#include "runtime/log.hpp"
#include "runtime/ops_server.hpp"

#include <algorithm>
#include <filesystem>
#include <mutex>

namespace custos::runtime {

namespace {

constexpr std::chrono::milliseconds stop_budget{5000};
/// Longer than the longest fan-out, so that a caller hears of what failed and not of a timeout.
constexpr std::chrono::seconds beyond_fan_out{15};

struct coordinator_actor_config : caf::actor_system_config {
  explicit coordinator_actor_config(unsigned threads) { configure_actor_system(*this, threads); }
};

} // namespace

struct coordinator_process::impl {
  explicit impl(const coordinator_options& o)
      : options(o), pool(o.common.io_threads), actor_config(actor_threads(o.common.threads)),
        system(actor_config), now(system_clock_source()) {}

  result<void> read_identities();
  result<void> open_state();
  result<void> listen();
  coordinator::coordinator_ports ports();
  [[nodiscard]] result<std::string> back_up(const crypto::key& recipient) const;
  result<coordinator::member_client> client_of(const coordinator::member& m);
  host_proxy_api proxy_of(const coordinator::member& m);
  void forget_removed();
  void add_metrics();

  coordinator_options options;
  http::io_pool pool;
  coordinator_actor_config actor_config;
  caf::actor_system system;
  clock_source now;
  http::tls_identity own;
  http::tls_identity towards_members;
  std::vector<crypto::certificate> anchors;
  std::shared_ptr<config_snapshot> callers = std::make_shared<config_snapshot>();
  std::shared_ptr<coordinator::inventory> known;
  std::shared_ptr<audit::audit_gauges> audit_gauges = std::make_shared<audit::audit_gauges>();
  audit_api audit;

  struct kept_proxy {
    coordinator::member to;
    host_proxy_api handle;
  };
  std::mutex proxies_mutex;                  ///< fan-outs begin on socket and actor threads
  std::map<std::string, kept_proxy> proxies; ///< by "cluster/id"

  std::unique_ptr<coordinator::coordinator_api> api;
  metrics measured;
  std::unique_ptr<http::server> ops;
  std::unique_ptr<http::server> https;
  bool stopped = false;
};

result<void> coordinator_process::impl::read_identities() {
  const std::pair<const char*, const std::string*> needed[] = {
      {"--client-ca", &options.client_ca},
      {"--client-certificate", &options.client_certificate},
      {"--client-key", &options.client_key}};
  for (const auto& [name, value] : needed)
    if (value->empty())
      return field_error(errc::invalid_argument, name, "expected a PEM file");
  CUSTOS_TRY(const auto ca, read_text_file(options.client_ca, pem_file_bytes_max));
  auto read = crypto::certificates_from_pem(as_bytes(ca));
  if (!read)
    return field_error(errc::invalid_argument, options.client_ca, read.failure().message);
  anchors = *std::move(read);
  CUSTOS_TRY(towards_members, load_identity(options.client_certificate, options.client_key));
  if (options.tls_certificate.empty() != options.tls_key.empty())
    return field_error(errc::invalid_argument,
                       options.tls_key.empty() ? "--tls-key" : "--tls-certificate",
                       "expected both a certificate and its key, or neither");
  if (!options.tls_certificate.empty()) {
    CUSTOS_TRY(own, load_identity(options.tls_certificate, options.tls_key));
  } else {
    CUSTOS_TRY(own, load_or_make_identity(
                        {options.data_dir, "coordinator", options.name, options.addresses}, now()));
  }
  for (const auto& name : options.auditors)
    callers->principals[name] = {name, role::auditor};
  for (const auto& name : options.administrators)
    callers->principals[name] = {name, role::administrator};
  return {};
}

result<void> coordinator_process::impl::open_state() {
  const std::filesystem::path directory(options.data_dir);
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  if (!failed)
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, failed);
  if (failed)
    return field_error(errc::storage_failure, "--data-dir", failed.message());
  CUSTOS_CHECK(read_identities());
  rocksdb::open_options create;
  create.create = true;
  create.heals = true;
  CUSTOS_TRY(auto store, rocksdb::open_store(directory / "db", create));
  CUSTOS_TRY(auto opened, coordinator::inventory::open(std::move(store)));
  known = std::move(opened);
  CUSTOS_TRY(auto log, audit::audit_log::open(directory / "audit", now()));
  audit::audit_dependencies given;
  given.now = now;
  given.gauges = audit_gauges;
  given.complain = [](std::string_view message) {
    log_error("audit.write_failed", {{"detail", std::string(message)}});
  };
  audit = audit::spawn_audit(system, std::move(log), std::move(given));
  return {};
}

/// A member is known by the CA of its cluster (its names must match), or by its own certificate,
/// which is then pinned.
result<coordinator::member_client>
coordinator_process::impl::client_of(const coordinator::member& m) {
  CUSTOS_TRY(const auto certificates, crypto::certificates_from_pem(as_bytes(m.certificate)));
  http::client_options o;
  for (const auto& c : certificates) {
    if (c.is_ca())
      o.trusted_pem += c.pem();
    else
      o.pinned.push_back(c.fingerprint());
  }
  o.identity = towards_members;
  CUSTOS_TRY(auto client, http::client::create(pool, std::move(o)));
  return coordinator::member_client([client](http::call call, http::client::callback answered) {
    client->send(std::move(call), std::move(answered));
  });
}

void coordinator_process::impl::forget_removed() {
  for (auto it = proxies.begin(); it != proxies.end();) {
    const auto& to = it->second.to;
    const auto members = known->members(to.cluster);
    const bool there = std::any_of(members.begin(), members.end(), [&](const auto& m) {
      return m.id == to.id && m.url == to.url && m.certificate == to.certificate;
    });
    if (!there) {
      caf::anon_send_exit(it->second.handle, caf::exit_reason::user_shutdown);
      it = proxies.erase(it);
    } else {
      ++it;
    }
  }
}

host_proxy_api coordinator_process::impl::proxy_of(const coordinator::member& m) {
  const auto key = m.cluster + "/" + m.id;
  const std::lock_guard guard(proxies_mutex);
  const auto found = proxies.find(key);
  if (found != proxies.end() && found->second.to.url == m.url &&
      found->second.to.certificate == m.certificate)
    return found->second.handle;
  forget_removed();
  auto client = client_of(m);
  coordinator::member_client calls =
      client ? *std::move(client)
             : [e = client.failure()](http::call, const http::client::callback& answered) {
                 answered(e);
               };
  auto base = m.url;
  if (base.ends_with('/'))
    base.pop_back();
  auto handle = coordinator::spawn_host_proxy(system, m.id, std::move(base), std::move(calls));
  if (const auto stale = proxies.find(key); stale != proxies.end())
    caf::anon_send_exit(stale->second.handle, caf::exit_reason::user_shutdown);
  proxies[key] = {m, handle};
  return handle;
}

/// The inventory is small: this takes milliseconds. An identity that was given belongs to whoever
/// gave it, and so do the certificates that calls are made with.
result<std::string> coordinator_process::impl::back_up(const crypto::key& recipient) const {
  backup::coordinator_content content;
  CUSTOS_TRY(content.entries, known->entries());
  if (options.tls_certificate.empty()) {
    content.certificate_pem = own.certificate_chain_pem;
    content.private_key = own.private_key.pkcs8_der();
  }
  CUSTOS_TRY(const auto chain, crypto::certificates_from_pem(as_bytes(own.certificate_chain_pem)));
  return backup::back_up_coordinator({options.name, chain.front(), own.private_key}, content,
                                     {recipient}, now());
}

coordinator::coordinator_ports coordinator_process::impl::ports() {
  coordinator::coordinator_ports p;
  p.known = known;
  p.fan_out = [this](std::vector<coordinator::member_call> calls,
                     std::function<void(coordinator::target_outcomes)> settled) {
    coordinator::fan_out_call f;
    f.window = options.fan_out_window;
    f.budget = std::chrono::seconds(options.fan_out_s);
    for (auto& c : calls)
      f.targets.push_back({c.to.id, proxy_of(c.to), std::move(c.call)});
    coordinator::spawn_fan_out(system, std::move(f), std::move(settled));
  };
  p.make_backup = [this](const crypto::key& recipient,
                         const std::function<void(result<std::string>)>& done) {
    done(back_up(recipient));
  };
  p.audit = [this](audit_record record) { caf::anon_send(audit, std::move(record)); };
  p.principals = [callers = config_ptr(callers)] { return callers; };
  p.anchors = anchors;
  p.now = now;
  return p;
}

void coordinator_process::impl::add_metrics() {
  measured.add([this](std::vector<metric_sample>& out) {
    const auto c = https->counters();
    out.push_back({"custos_http_connections",
                   "Open connections",
                   false,
                   {},
                   static_cast<double>(c.connections)});
    out.push_back(
        {"custos_http_requests_total", "Requests", true, {}, static_cast<double>(c.requests)});
    for (const auto& cluster : known->clusters())
      out.push_back({"custos_members",
                     "Nodes or hosts in the inventory",
                     false,
                     {{"cluster", cluster.id}},
                     static_cast<double>(known->members(cluster.id).size())});
    out.push_back({"custos_audit_records_total",
                   "Audit records on disk since the start",
                   true,
                   {},
                   static_cast<double>(audit_gauges->records)});
  });
}

result<void> coordinator_process::impl::listen() {
  const auto where = parse_listen(options.listen);
  if (!where)
    return field_error(errc::invalid_argument, "--listen", "expected address:port");
  api = std::make_unique<coordinator::coordinator_api>(ports());
  http::server_options o;
  o.address = where->host;
  o.port = where->port;
  o.tls = own;
  o.request_timeout = std::chrono::seconds(options.fan_out_s) + beyond_fan_out;
  CUSTOS_TRY(https, http::server::listen(pool, std::move(o),
                                         [this](http::request&& r, const http::responder& respond) {
                                           api->handle(std::move(r), respond);
                                         }));
  add_metrics();
  CUSTOS_TRY(ops, start_ops_server(pool, options.common.ops_listen, measured, [this] {
               readiness state;
               state.ready = audit_gauges->writable;
               state.details = {{"name", options.name},
                                {"audit", audit_gauges->writable ? "ok" : "cannot be written"}};
               return state;
             }));
  https->start();
  log_info("coordinator.listening",
           {{"address", where->host}, {"port", std::to_string(https->port())}});
  return {};
}

coordinator_process::coordinator_process(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

coordinator_process::~coordinator_process() {
  stop();
}

result<std::unique_ptr<coordinator_process>>
coordinator_process::start(const coordinator_options& options) {
  std::unique_ptr<coordinator_process> out(
      new coordinator_process(std::make_unique<impl>(options)));
  CUSTOS_CHECK(out->impl_->open_state());
  CUSTOS_CHECK(out->impl_->listen());
  return out;
}

void coordinator_process::stop() {
  auto& i = *impl_;
  if (i.stopped)
    return;
  i.stopped = true;
  const std::chrono::milliseconds drain_time = std::chrono::seconds(i.options.common.drain_s) / 2;
  if (i.https)
    i.https->drain(drain_time);
  if (i.ops)
    i.ops->drain(std::chrono::milliseconds(500));
  {
    const std::lock_guard guard(i.proxies_mutex);
    for (const auto& [key, proxy] : i.proxies)
      caf::anon_send_exit(proxy.handle, caf::exit_reason::user_shutdown);
    i.proxies.clear();
  }
  if (i.audit) {
    caf::scoped_actor self(i.system);
    self->request(i.audit, stop_budget, drain{})
        .receive([](const drained&) {}, [](const caf::error&) { log_error("audit.drain_failed"); });
    caf::anon_send_exit(i.audit, caf::exit_reason::user_shutdown);
  }
  i.pool.stop();
  i.audit = nullptr;
}

} // namespace custos::runtime

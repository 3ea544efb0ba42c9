#include "runtime/ops_server.hpp"

#include "runtime/log.hpp"
#include "runtime/program.hpp"

#include <boost/json.hpp>

namespace custos::runtime {

namespace {

http::response answer(const http::request& request, const metrics& m,
                      const std::function<readiness()>& ready) {
  if (request.method != "GET" && request.method != "HEAD")
    return http::problem(make_error(errc::method_not_allowed, "only GET is served here"));
  http::response r;
  if (request.path == "/healthz") {
    r.body = R"({"status":"ok"})";
    return r;
  }
  if (request.path == "/readyz") {
    const auto state = ready();
    boost::json::object body;
    body["status"] = state.ready ? "ready" : "not ready";
    for (const auto& [name, value] : state.details)
      body[name] = value;
    r.status = state.ready ? 200 : 503;
    r.body = boost::json::serialize(body);
    return r;
  }
  if (request.path == "/metrics") {
    r.content_type = "text/plain; version=0.0.4; charset=utf-8";
    r.body = m.render();
    return r;
  }
  return http::problem(make_error(errc::not_found, "served here: /healthz, /readyz, /metrics"));
}

} // namespace

result<std::unique_ptr<http::server>> start_ops_server(http::io_pool& pool,
                                                       const std::string& listen, const metrics& m,
                                                       std::function<readiness()> ready) {
  if (listen == "off")
    return std::unique_ptr<http::server>();
  const auto where = parse_listen(listen);
  if (!where)
    return field_error(errc::invalid_argument, "--ops-listen", "expected address:port or off");
  if (where->host != "::1" && where->host.rfind("127.", 0) != 0)
    return field_error(errc::invalid_argument, "--ops-listen",
                       "expected a loopback address: this listener is plain HTTP");
  http::server_options options;
  options.address = where->host;
  options.port = where->port;
  options.connections_max = 64;
  options.body_bytes_max = 1024;
  CUSTOS_TRY(auto server,
             http::server::listen(pool, options,
                                  [&m, ready = std::move(ready)](http::request&& request,
                                                                 const http::responder& respond) {
                                    respond(answer(request, m, ready));
                                  }));
  server->start();
  log_info("ops.listening", {{"address", where->host}, {"port", std::to_string(server->port())}});
  return server;
}

} // namespace custos::runtime

#pragma once
// What the host agent says of itself, as JSON: the same for managers and for local consumers.

#include "messages/host.hpp"

#include <boost/json/object.hpp>

namespace custos::runtime {

boost::json::object json_of(const host_status& s);
boost::json::object json_of(const rewrap_status& s);

} // namespace custos::runtime

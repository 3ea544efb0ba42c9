#pragma once
// How our programs end (sysexits.h values where one fits).

namespace custos::runtime {

enum exit_code : int {
  exit_ok = 0,
  exit_failure = 1,        ///< the operation was tried and refused
  exit_usage = 64,         ///< wrong flags
  exit_bad_data = 65,      ///< an input file or document is wrong
  exit_no_input = 66,      ///< an input file cannot be read
  exit_unavailable = 69,   ///< a service or device is away
  exit_internal = 70,      ///< a defect of ours
  exit_cannot_create = 73, ///< an output cannot be written
  exit_not_yet = 75,       ///< asked whether something may be done: not yet
  exit_denied = 77,        ///< not allowed
  exit_configuration = 78, ///< the configuration or data directory is wrong
};

} // namespace custos::runtime

# SPDX-License-Identifier: BSD-2-Clause
#
# Rules about waits for events act in a server that waits, and the server goes on.

import unittest

import scenarios

TALK = """rules: {r: "%s"}
steps:
  - on: r
  - client:
      do:
        - upgrade: {path: /ws}
        - frame: {op: ping, text: a}
        - expect: {frame: {op: pong, text: a}}
        - close: {}
expect:
  - hits: {r: "%s"}
  - outcome: {is: upgraded}
"""


class Waits(scenarios.ScenarioCase):
    def test_a_wait_is_interrupted_now_and_then_and_nothing_is_lost(self):
        self.passes(scenarios.ECHO + TALK % ("wait:wake=spurious:interval=2", ">=1"))

    def test_a_rule_may_name_the_wait(self):
        self.passes(scenarios.ECHO + TALK % ("epoll_wait:eintr:interval=2", ">=1"))


if __name__ == "__main__":
    unittest.main()

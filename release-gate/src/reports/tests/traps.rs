//! Reports that look green, or better than they are.

use serde_json::{Value, json};

use super::super::Report;
use super::{numbers, parsed, sample};

/// Each line: what is changed (`#1` is the first test, `#2` the result of Vitest's, `#3` Newman's request, `#4` its numbers), the numbers then (passed, failed, flaky,
/// skipped, warnings, outside), and the beginning of what is said for exit code 0: nothing, if it is a pass. A line with a name begins a sample.
const CHANGES: &str = r##"
playwright-green.json
/stats/expected = 100                         | 2 0 0 0 0 1 | 1 error outside of any test: the report: it announces 100 tests, and lists 2
/stats/expected = 1                           | 1 0 0 0 0 1 | 1 error outside of any test: the report: it announces 1 tests
/stats/expected = 1; /stats/unexpected = 1    | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/status = "unexpected"                      | 1 1 0 0 0 0 | 1 of 2 tests failed: ok
#1/status = "great"                           | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/results/0/status = "failed"                | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/results/0/status = "timedOut"              | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/results/0/status = "odd"                   | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/results/0/status = null                    | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/results = [{"status": "failed"}, {"status": "passed"}]  | 1 0 1 0 0 0 |
#1/results = [{"status": "skipped"}, {"status": "passed"}] | 2 0 0 0 0 0 |
#1/results = []                               | 1 0 0 1 0 0 |
#1/results/0/status = "interrupted"; #1/status = "skipped" | 1 0 0 1 0 1 | 1 error outside of any test: ok: it was interrupted
#1/expectedStatus = "failed"                  | 1 1 0 0 0 0 | 1 of 2 tests failed: ok: it passed, and was expected to fail
/errors = [{"value": "'no'"}]                 | 2 0 0 0 0 1 | 1 error outside of any test: 'no'
#1/expectedStatus = "crashed"; #1/results/0/status = "crashed"        | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/expectedStatus = "Passed"; #1/results/0/status = "PASSED"          | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/expectedStatus = "timedOut"; #1/results/0/status = "timedOut"      | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/status = "skipped"; #1/results = [{"status": "failed"}, {"status": "passed"}] | 1 1 0 0 0 0 | 1 of 2 tests failed
#1/results/0/errors = [{"message": "boom"}]   | 1 1 0 0 0 0 | 1 of 2 tests failed: ok: boom
#1/results/0/errors = [{}]                    | 1 1 0 0 0 0 | 1 of 2 tests failed: ok: it failed
#1/results/0/error = {"message": "boom"}      | 1 1 0 0 0 0 | 1 of 2 tests failed: ok: boom
#1/expectedStatus = "failed"; #1/results = [{"status": "failed", "errors": [{"message": "x"}]}] | 2 0 0 0 0 0 |
/suites/0/specs/0/ok = false                  | 2 0 0 0 0 1 | 1 error outside of any test: ok: it is said to be not ok
/status = "failed"                            | 2 0 0 0 0 1 | 1 error outside of any test: the run: its status is failed
/status = "passed"; /stats/status = "passed"  | 2 0 0 0 0 0 |
/stats/status = "interrupted"                 | 2 0 0 0 0 1 | 1 error outside of any test: the run: its status is interrupted
/config/shard = {"total": 3, "current": 1}    | 2 0 0 0 0 1 | 1 error outside of any test: the report: it is shard 1 of 3: merge the shards
/config/shard = {"total": 1, "current": 1}    | 2 0 0 0 0 0 |
vitest-unhandled.json
/testResults/0/status = "failed"              | 1 0 0 0 0 1 | 1 error outside of any test: the file: something broke
/success = false                              | 1 0 0 0 0 1 | 1 error outside of any test: the run: it says that it failed
/numFailedTestSuites = 1                      | 1 0 0 0 0 1 | 1 error outside of any test: the run
/numRuntimeErrorTestSuites = 1                | 1 0 0 0 0 1 | 1 error outside of any test: the run
/wasInterrupted = true                        | 1 0 0 0 0 1 | 1 error outside of any test: the run: it was interrupted
/numFailedTests = 1                           | 1 1 0 0 0 0 | 1 of 2 tests failed
/numTotalTests = 9                            | 1 0 0 0 0 1 | 1 error outside of any test: the report: it announces 9
#2/failureMessages = ["first"]                | 0 0 1 0 0 0 |
#2/invocations = 2                            | 0 0 1 0 0 0 |
#2/failureMessages = [{"message": "boom"}]    | 0 0 1 0 0 0 |
#2/failureMessages = [null]                   | 0 0 1 0 0 0 |
/testResults/0/message = "boom"               | 1 0 0 0 0 1 | 1 error outside of any test: the file: boom
/testResults/0/message = " "                  | 1 0 0 0 0 0 |
/testResults/0/testExecError = {"message": "x"} | 1 0 0 0 0 1 | 1 error outside of any test: the file: something broke
/testResults/0/testExecError = null           | 1 0 0 0 0 0 |
/snapshot/failure = true                      | 1 0 0 0 0 1 | 1 error outside of any test: the run: it says that snapshots do not match
/snapshot/unmatched = 1                       | 1 0 0 0 0 1 | 1 error outside of any test: the run: it says that snapshots
/snapshot/failure = true; /snapshot/unchecked = 2 | 1 0 0 0 0 0 |
/snapshot = null                              | 1 0 0 0 0 0 |
#2/retryReasons = ["first"]                   | 0 0 1 0 0 0 |
#2/status = "fine"                            | 0 1 0 0 0 0 | 1 of 1 test failed: passes but leaves rejection: it has a status
#2/status = "disabled"                        | 0 0 0 1 0 0 | nothing ran: everything was skipped (1 test)
vitest-filtered.json
/numPassedTests = 7                           | 1 0 0 6 0 0 |
eslint-clean.json
/0/errorCount = 3                             | 0 1 0 0 0 0 | 1 of 1 file failed: 3 errors that the report does not list
/0/fatalErrorCount = 1                        | 0 1 0 0 0 0 | 1 of 1 file failed
/0/warningCount = 5                           | 1 0 0 0 5 0 |
/0/messages = [{"ruleId": "x", "severity": 2, "message": "m"}]                    | 0 1 0 0 0 0 | 1 of 1 file failed: x: m
/0/messages = [{"ruleId": null, "severity": 1, "fatal": true, "message": "m"}]    | 0 1 0 0 0 0 | 1 of 1 file failed: no valid source: m
/0/messages = [{"ruleId": "x", "severity": 1, "message": "File ignored"}]         | 1 0 0 0 1 0 |
/0/messages = [{"ruleId": null, "severity": 1, "message": "File ignored by default."}] | 0 0 0 1 1 0 | nothing ran
 = []                                         | 0 0 0 0 0 0 | nothing ran: the report is empty
newman-green.json
#3/assertions = null; #4/assertions/total = 0 | 0 0 0 0 1 0 | nothing ran
#3/assertions = []; #3/response = null; #4/assertions/total = 0 | 0 0 0 0 0 1 | 1 error outside of any test: health ok: no answer
#3/assertions = []; #3/response/code = 404; #4/assertions/total = 0 | 0 0 0 0 0 1 | 1 error outside of any test: health ok: HTTP 404
#3/assertions = [{"assertion": "a", "skipped": true}]; #3/response/code = 500; #4/assertions/total = 1 | 0 0 0 1 0 1 | 1 error outside of any test: health ok: HTTP 500
#3/response/code = 500                        | 2 0 0 1 0 0 |
#3/requestError = {"code": "ECONNREFUSED"}    | 2 0 0 1 0 1 | 1 error outside of any test
#3/testScript = [{"error": {"message": "x"}}] | 2 0 0 1 0 1 | 1 error outside of any test
#3/prerequestScript = [{"error": {}}]         | 2 0 0 1 0 1 | 1 error outside of any test
#4/requests/failed = 1                        | 2 0 0 1 0 1 | 1 error outside of any test
#4/prerequestScripts/failed = 2               | 2 0 0 1 0 2 | 2 errors outside of any test
/run/failures = [{"at": "request", "error": {"message": "x"}}] | 2 0 0 1 0 1 | 1 error outside of any test: request: x
/run/failures = [{"at": "assertion:0 in test-script"}] | 1 1 0 1 0 0 | 1 of 3 assertions failed
/run/error = {"message": "x"}                 | 2 0 0 1 0 1 | 1 error outside of any test: the run ended with an error
/run/aborted = true                           | 2 0 0 1 0 1 | 1 error outside of any test: the run was aborted
/run/aborted = false                          | 2 0 0 1 0 0 |
#3/response = null                            | 2 0 0 1 0 1 | 1 error outside of any test: health ok: no answer
#4/items/failed = 1                           | 2 0 0 1 0 1 | 1 error outside of any test
#4/iterations/failed = 1                      | 2 0 0 1 0 1 | 1 error outside of any test
#4/tests/failed = 1                           | 2 0 0 1 0 1 | 1 error outside of any test
#4/prerequests/failed = 1                     | 2 0 0 1 0 1 | 1 error outside of any test
#4/tests/pending = 1                          | 2 0 0 1 0 1 | 1 error outside of any test: the run ended before
#4/requests/pending = 1                       | 2 0 0 1 0 1 | 1 error outside of any test: the run ended before
#4/items/total = 50                           | 2 0 0 1 0 1 | 1 error outside of any test: the report: it counts 50 items, and lists 1
#4/iterations/total = 50                      | 2 0 0 1 0 1 | 1 error outside of any test: the report: it counts 50 iterations, and lists 1
#3/cursor/iteration = 49; #4/iterations/total = 50 | 2 0 0 1 0 0 |
#3/cursor = null                              | 2 0 0 1 0 0 |
#4/items/pending = 3                          | 2 0 0 1 0 1 | 1 error outside of any test: the run ended before
#4/assertions/failed = 1                      | 1 1 0 1 0 0 | 1 of 3 assertions failed
#4/assertions/total = 30                      | 2 0 0 1 0 1 | 1 error outside of any test: the report: it announces 30
"##;

/// Suites in JUnit's form, and the same.
const SUITES: &str = "
<testsuite tests='1'><testcase name='a'/></testsuite> | 1 0 0 0 0 0 |
<testsuites><testsuite name='s' tests='0' errors='2'/></testsuites> | 0 0 0 0 1 2 | 2 errors outside of any test: s: 2 errors outside of its tests
<testsuites failures='1'><testsuite name='s'><testcase name='a'/></testsuite></testsuites> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuites><testsuite><testcase name='a'><failure/></testcase></testsuite></testsuites> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite tests='1' failures='1' errors='0'><testcase name='a'><error/></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed
<testsuite tests='2' failures='1'><testsuite tests='2' failures='1'><testcase name='a'/><testcase name='b'><failure/></testcase></testsuite></testsuite> | 1 1 0 0 0 0 | 1 of 2 tests failed
<testsuite errors='2'><testcase name='a'/><testsuite errors='1'/></testsuite> | 1 0 0 0 1 2 | 2 errors outside of any test
<testsuite name='s' tests='5'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test: s: it announces 5 tests, and lists 1
<testsuites tests='5'><testsuite tests='1'><testcase name='a'/></testsuite></testsuites> | 1 0 0 0 0 0 |
<testsuite tests='3' skipped='2'><testcase name='a'/><testcase name='b'/><testcase name='c'/></testsuite> | 1 0 0 2 0 0 |
<testsuite skipped='9'><testcase name='a'/></testsuite> | 0 0 0 9 0 0 | nothing ran
<testsuite><testcase name='a'><skipped/><failure message='m'/></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: m
<testsuite tests='1' disabled='1'><testcase name='a' status='notrun' result='suppressed'/></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='failed'/></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed
<testsuite><testcase name='a'><flakyFailure message='m'/></testcase></testsuite> | 0 0 1 0 0 0 |
<testsuite><testcase name='a'><failure/><rerunFailure/></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed
<testsuite><testcase name='a &lt;b&gt; &#228;'><failure>x &amp; &#x41;<![CDATA[<c>]]></failure></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a <b> \u{e4}: x & A<c>
<j:testsuite xmlns:j='x'><j:testcase name='a'><j:failure/></j:testcase></j:testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed
<testsuite><testcase name='a'><system-out>failure</system-out><properties><property name='failure'/></properties></testcase></testsuite> | 1 0 0 0 0 0 |
<testsuites><testsuite name='s' tests='1' failures='0'><testcase name='a'/><failure message='beforeAll failed'>x</failure></testsuite></testsuites> | 1 0 0 0 0 1 | 1 error outside of any test: s: beforeAll failedx
<testsuites><testsuite name='s'><testcase name='a'/><error message='boom'/></testsuite></testsuites> | 1 0 0 0 0 1 | 1 error outside of any test: s: boom
<testsuites><testsuite name='s'><testcase name='a'/></testsuite><error>boom</error></testsuites> | 1 0 0 0 0 1 | 1 error outside of any test: error: boom
<testsuites><testsuite name='s' errors='1'><testcase name='a'/><x><j:Error/></x></testsuite></testsuites> | 1 0 0 0 0 1 | 1 error outside of any test: s
<testsuite><properties><property name='x'><failure/></property></properties><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite><testcase name='a'><step name='x'><failure/></step></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><properties><property name='x'><failure/></property></properties></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><failures><failure message='m'/></failures></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><Failure message='m'/></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><FAILURE/></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><j:error/></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><system-out><x><y><error>m</error></y></x></system-out></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><skipped/><step><failure/></step></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a'><FlakyFailure/></testcase></testsuite> | 0 0 1 0 0 0 | 
<testsuite><testcase name='a'><Skipped/></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='broken'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is broken
<testsuite><testcase name='a' status='timedOut'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is timedOut
<testsuite><testcase name='a' status='aborted'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is aborted
<testsuite><testcase name='a' status='interrupted'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is interrupted
<testsuite><testcase name='a' status='inconclusive'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is inconclusive
<testsuite><testcase name='a' status=' failed '></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is failed
<testsuite><testcase name='a' status='FAILED'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is FAILED
<testsuite><testcase name='a' status='unstable'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is unstable
<testsuite><testcase name='a' status='undefined'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is undefined
<testsuite><testcase name='a' status='xpass'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is xpass
<testsuite><testcase name='a' status='1'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is 1
<testsuite><testcase name='a' result='aborted'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a: its status is aborted
<testsuite><testcase name='a' status='passed' result='crashed'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' status='skipped' result='failed'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' j:status='failed'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' status='passed'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status=' PASSED '></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status='Success'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status='successful'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status='ok'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status='run'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status='completed'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status=''></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' status='skipped'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='NotRun'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='NotExecuted'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='not run'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='disabled'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='Ignored'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='pending'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='notrun'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' status='run' result='skipped'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' failures='1'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' errors='1'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' failure='true'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' failure='boom'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' failed='true'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' success='false'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' success='no'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' Success='False' executed='false'></testcase></testsuite> | 0 1 0 0 0 0 | 1 of 1 test failed: a
<testsuite><testcase name='a' failures='0' errors='0' failure='false' success='true' executed='true'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' Success='1'></testcase></testsuite> | 1 0 0 0 0 0 | 
<testsuite><testcase name='a' executed='false'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite><testcase name='a' ignored='true'></testcase></testsuite> | 0 0 0 1 0 0 | nothing ran
<testsuite Failures='1'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite j:failures='1'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite ERRORS='1'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite failures='0' Failures='1'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite failures='&#49;'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite failures='+1'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite success='false'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite status='failed'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite aborted='true'><testcase name='a'/></testsuite> | 1 0 0 0 0 1 | 1 error outside of any test
<testsuite ignored='1'><testcase name='a'/><testcase name='b'/></testsuite> | 1 0 0 1 0 0 | 
<TestSuites><TestSuite><TestCase name='a'/></TestSuite></TestSuites> | 1 0 0 0 0 0 | 
<testsuites/> | 0 0 0 0 0 0 | nothing ran: the report is empty
";

/// What a line changes or holds, the numbers and the words.
fn row(line: &str) -> (&str, [u64; 6], &str) {
    let (rest, words) = line.rsplit_once('|').expect("words");
    let (what, numbers) = rest.rsplit_once('|').expect("numbers");
    let numbers: Vec<u64> = numbers.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    (what.trim_end(), numbers.try_into().expect("six numbers"), words.trim())
}

fn check(report: &Report, line: &str) {
    let (_, expected, words) = row(line);
    assert_eq!(numbers(report), expected, "{line}: {report:#?}");
    let said = report.trouble(0).unwrap_or_default();
    let is_right = if words.is_empty() { said.is_empty() } else { said.starts_with(words) };
    assert!(is_right, "{line}: {said:?}");
}

/// A sample with some values changed.
fn changed(name: &str, changes: &str) -> String {
    let mut value: Value = serde_json::from_str(&sample(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    for change in changes.split("; ") {
        let (pointer, new) = change.split_once(" = ").expect("a change");
        let short = [
            ("#1", "/suites/0/specs/0/tests/0"),
            ("#2", "/testResults/0/assertionResults/0"),
            ("#3", "/run/executions/0"),
            ("#4", "/run/stats"),
        ];
        let pointer =
            short.iter().fold(pointer.to_owned(), |pointer, (sign, path)| pointer.replace(sign, path));
        let new: Value = serde_json::from_str(new).unwrap_or_else(|e| panic!("{change}: {e}"));
        match pointer.rsplit_once('/') {
            None => value = new,
            Some((parent, key)) => {
                let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("{name} has no {parent}"));
                match key.parse::<usize>() {
                    Ok(at) => parent[at] = new,
                    Err(_) => parent[key] = new,
                }
            }
        }
    }
    value.to_string()
}

#[test]
fn the_worse_of_two_numbers_counts() {
    let mut name = "";
    for line in CHANGES.trim_matches('\n').lines() {
        if !line.contains('|') {
            name = line;
            continue;
        }
        let report = parsed(&changed(name, row(line).0)).unwrap_or_else(|e| panic!("{name}: {line}: {e}"));
        check(&report, line);
    }
}

#[test]
fn each_suite_is_compared_with_what_it_says() {
    for line in SUITES.trim().lines() {
        check(&parsed(row(line).0).unwrap_or_else(|e| panic!("{line}: {e}")), line);
    }
}

/// Every order of the top keys says the same: a merged report may begin with another one.
#[test]
fn the_order_of_keys_tells_nothing() {
    for name in ["playwright.json", "newman.json", "vitest.json", "eslint-json-with-metadata.json"] {
        let straight = parsed(&sample(name)).expect("a report");
        let Ok(Value::Object(keys)) = serde_json::from_str(&sample(name)) else {
            panic!("{name} is no object")
        };
        let mut keys: Vec<(String, Value)> = keys.into_iter().collect();
        for _ in 0..keys.len() {
            keys.rotate_left(1);
            let turned = Value::Object(keys.iter().rev().cloned().collect()).to_string();
            assert_eq!(parsed(&turned).unwrap_or_else(|e| panic!("{name}: {e}")), straight, "{name}");
        }
    }
}

/// Reports of two shards in one: nothing of either is lost.
#[test]
fn merged_shards_are_added_up() {
    let part: Value = serde_json::from_str(&sample("playwright.json")).expect("JSON");
    let mut both = part.clone();
    let suites = part["suites"].as_array().cloned().unwrap_or_default();
    both["suites"].as_array_mut().expect("a list").extend(suites);
    for key in ["expected", "skipped", "unexpected", "flaky"] {
        both["stats"][key] = json!(part["stats"][key].as_u64().unwrap_or(0) * 2);
    }
    let report = parsed(&both.to_string()).expect("a report");
    assert_eq!(numbers(&report), [8, 14, 4, 14, 0, 0]);
    // Whoever adds only the suites announces too few.
    both["stats"] = part["stats"].clone();
    let report = parsed(&both.to_string()).expect("a report");
    assert_eq!(numbers(&report), [4, 14, 4, 14, 0, 1]);
}

#[test]
fn a_part_that_is_missing_is_missed() {
    for (name, keys) in [
        ("playwright-green.json", ["errors", "stats", "suites"].as_slice()),
        (
            "vitest-unhandled.json",
            &["success", "testResults", "numTotalTests", "numFailedTests", "numPassedTests"],
        ),
        ("newman-green.json", &["run", "collection"]),
        ("eslint-json-with-metadata.json", &["results", "metadata"]),
    ] {
        for key in keys {
            let mut value: Value = serde_json::from_str(&sample(name)).expect("JSON");
            value.as_object_mut().expect("an object").shift_remove(*key);
            let why = parsed(&value.to_string()).map(|report| format!("{report:?}"));
            assert!(why.is_err(), "{name} without {key}: {why:?}");
        }
    }
    for key in ["stats", "executions", "failures"] {
        let mut value: Value = serde_json::from_str(&sample("newman-green.json")).expect("JSON");
        value["run"].as_object_mut().expect("an object").shift_remove(key);
        let why = parsed(&value.to_string()).expect_err("no report");
        assert_eq!(why, format!("a report of Newman without `run.{key}`"));
    }
}

# Adds to Serve's configuration what `/-/ready` (every workload predicts) and `/-/ready/any` (some does) are answered
# by: a copy of each workload's servers, of which each is asked every 2 s whether it predicts. With `-v known=FILE` the servers of that configuration count from the start;
# others count once they have had the time to be asked, since HAProxy takes a new server for one that answers. What
# knows no such path, such as an application of a user's own, is ready when it answers.
function end_backend() {
    if (name != "" && prefix[name] != "/") {
        copies = copies "backend ready-" name "\n    no log\n    option httpchk GET " prefix[name] "/-/ready\n" \
            "    http-check expect ! rstatus ^5\n    http-check expect ! string \"for available routes\"\n    timeout connect 1s\n    timeout check 2s\n" \
            "    default-server inter 2s fastinter 500ms downinter 500ms rise 1 fall 2\n" servers
        ready = ready " { nbsrv(ready-" name ") ge 1 }"
        any[++workloads] = "{ nbsrv(ready-" name ") ge 1 }"
        if (!has_known_server) age = " { date(0,ms),sub(proc.raysonde_started) ge 2500 }"
    }
    name = ""
}
BEGIN {
    while (known != "" && (getline line < known) > 0) {
        split(line, words, " ")
        if (words[1] == "server") known_servers[words[2]] = 1
    }
}
/^ *acl is_[^ ]+ path \// { prefix[substr($2, 4)] = $4 }
/^[^ ]/ { end_backend() }
/^backend / && ($2 in prefix) { name = $2; servers = ""; has_known_server = 0 }
# the fallback, Serve's own proxy, serves alone after a deploy that failed
name != "" && $1 == "server" {
    servers = servers "    server " $2 " " $3 " check" (/ backup$/ ? " inter 5s backup" : "") "\n"
    if ($2 in known_servers) has_known_server = 1
}
{ lines[NR] = $0 }
END {
    end_backend()
    for (n = 1; n <= NR; n++) {
        if (lines[n] ~ /^ *@READY@$/) {
            for (n_any = 1; n_any <= workloads; n_any++) print "    http-request return status 200 content-type application/json string '{\"status\":\"ready\"}' if { path /-/ready/any } " any[n_any] age
            if (ready != "") print "    http-request return status 200 content-type application/json string '{\"status\":\"ready\"}' if { path /-/ready }" ready age
            print "    http-request return status 503 content-type application/json string '{\"status\":\"not ready\"}' hdr Retry-After 1 if { path /-/ready /-/ready/any }"
        } else {
            if (lines[n] ~ /^listen stats$/) printf "%s", copies
            print lines[n]
        }
    }
}

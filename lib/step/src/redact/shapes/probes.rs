//! What logs, errors and settings of others really look like: each line with its secrets in guillemets, `⏎` for a line end. None is real.

use super::*;

/// The secrets in guillemets must be masked, and nothing else may be.
const PROBES: &[&str] = &[
    r#"postgres://shop:«hun'ter"2»@db:5432/shop"#,
    r#"postgres://shop:«p w d 1»@db/x"#,
    r#"postgresql://shop:«p%40ss%2Fw%3Ard»@db.example:5432/shop?sslmode=require"#,
    r#"postgres://shop:«a@b@c»@db/x"#,
    r#"postgres://shop:«p<w>d`x»@db/x"#,
    r#"mysql://root:«pa ss'w0rd»@10.0.0.7:3306/shop"#,
    r#"redis://:«r3d1s-pw»@cache:6379/0"#,
    r#"rediss://default:«AbC/dEf+1»@redis.example:6380"#,
    r#"amqp://guest:«gu est!»@rabbit:5672/%2f"#,
    r#"amqps://svc:«x;y,z»@mq.example/vhost"#,
    r#"mongodb://root:«ex(am)ple»@mongo:27017/shop?authSource=admin"#,
    r#"mongodb+srv://app:«Zx9$Qw»@cluster0.abcde.mongodb.net/shop"#,
    r#"smtp://mailer:«m@il;Pw»@smtp.example:587"#,
    r#"ftp://u:«p»@h/x"#,
    r#"https://user:«pass»@registry.example/v2/ and https://user2:«pass2»@registry2.example/v2/"#,
    r#"host=db port=5432 user=shop password=«hunter22» dbname=shop"#,
    r#"host=db user=shop password='«two words»' dbname=shop"#,
    r#""host=db user=shop password=«hun;ter» dbname=shop""#,
    r#"jdbc:postgresql://db:5432/shop?user=shop&password=«hunter2»&ssl=true"#,
    r#"jdbc:mysql://db/shop?user=root&password=«p%26w»"#,
    r#"jdbc:sqlserver://db:1433;databaseName=shop;user=sa;password=«Pa$$w0rd»;encrypt=true"#,
    r#"jdbc:oracle:thin:scott/«tiger42x»@//db:1521/orcl"#,
    r#"Server=tcp:db,1433;Initial Catalog=shop;User ID=sa;Pwd=«s3cr;et»;Encrypt=True"#,
    r#"Data Source=db;User Id=sa;Password="«two; words»";Database=x"#,
    r#"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=«abcdefghij0123456789ABCDEFGHIJ0123456789abcdefghij0123456789ABCDEFGHIJ0123456789abcdefgh==»;EndpointSuffix=core.windows.net"#,
    r#"Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=«abcdefghij0123456789ABCDEFGHIJ0123456789abc=»"#,
    r#"//registry.npmjs.org/:_authToken=«npm_abcdefghij0123456789ABCDEFGHIJ012345»"#,
    r#"//registry.example/:_password=«cGFzc3dvcmQ=»"#,
    r#"_auth=«dXNlcjpwYXNzd29yZA==»"#,
    r#"machine github.com login rina password «ghp_abcdefghij0123456789»"#,
    r#"machine git.example login rina password «hunter2»"#,
    r#"machine git.example⏎login rina⏎password «hunter2»"#,
    r#"{"auths":{"registry.example":{"auth":"«cmluYTpodW50ZXIy»"}}}"#,
    r#"{"auths":{"registry.example":{"username":"rina","password":"«hunter2»","identitytoken":"«abc.def»"}}}"#,
    r#"    client-key-data: «LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFb3dJQkFBS0NBUUVB»"#,
    r#"    token: «eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.abcdefgh-ijklmnop»"#,
    r#"::add-mask::«hunter2-and-more»"#,
    r#"##[add-mask]«hunter2-and-more»"#,
    r#"AWS_ACCESS_KEY_ID=«AKIAIOSFODNN7EXAMPLE»"#,
    r#"export AWS_SECRET_ACCESS_KEY=«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"#,
    r#"aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"#,
    r#"AWS_SESSION_TOKEN=«FwoGZXIvYXdzEBYaDKp//////////wEXAMPLE»"#,
    r#"{"SecretAccessKey":"«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»","AccessKeyId":"«ASIAIOSFODNN7EXAMPLE»"}"#,
    r#"{"env":"{\"DB_PASSWORD\":\"«hunter2»\"}"}"#,
    r#"{"a":"{\"b\":\"{\\\"token\\\":\\\"«hunter2x»\\\"}\"}"}"#,
    r#"password: "«correct horse»""#,
    r#"  DB_PASS: «hunter2»"#,
    r#"    - name: DB_PASSWORD⏎      value: «hunter2»"#,
    r#"- name: API_TOKEN⏎  value: "«abc def»""#,
    r#"{"name":"DB_PASSWORD","value":"«hunter2»"}"#,
    r#"{"key":"SUPABASE_SERVICE_KEY","value":"«abcd»","is_secret":true}"#,
    r#"env: POSTGRES_PASSWORD=«hunter2» POSTGRES_USER=shop"#,
    r#"docker run -e POSTGRES_PASSWORD=«hunter2» -e A=b postgres:16"#,
    r#"docker login -u rina -p «hunter2» registry.example"#,
    r#"docker login --username rina --password «hunter2» registry.example"#,
    r#"export TOKEN="«a b c»"; ./deploy"#,
    r#"set -x DATABASE_PASSWORD '«hunter 2»'"#,
    r#"+ PGPASSWORD=«hunter2» psql -h db"#,
    r#"PGPASSWORD=«hunter2» pg_restore -d shop x.dump"#,
    r#"curl -H 'Authorization: Bearer «abcdef0123»' https://x"#,
    r#"curl -H "X-Api-Key: «hunter2x»" https://x"#,
    r#"curl --header 'PRIVATE-TOKEN: «abcdef0123»' https://x"#,
    r#"curl -u 'rina:«hun ter»' https://x"#,
    r#"curl --user rina:«hunter2» https://x"#,
    r#"curl -urina:«hunter2» https://x"#,
    r#"wget --password=«hunter2» https://x"#,
    r#"mysql -u root -p«hunter2» shop"#,
    r#"mysql -uroot -p«hunter2» -h db"#,
    r#"sshpass -p «hunter2» ssh host"#,
    r#"sshpass -p '«hunter 2»' ssh host"#,
    r#"redis-cli -a «hunter2» ping"#,
    r#"< Set-Cookie: «session=abcdef; Path=/; HttpOnly»"#,
    r#"set-cookie: «__Host-sid=s%3Aabc.def; Secure»"#,
    r#"Cookie: «sb-access-token=abc; sb-refresh-token=def»"#,
    r#"GET https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=«AKIAIOSFODNN7EXAMPLE»/20260101/eu/s3/aws4_request&X-Amz-Signature=«aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404»"#,
    r#"https://x.blob.core.windows.net/c/b?sv=2022-11-02&se=2026-01-01&sig=«abc%2Fdef%3D»&sp=r"#,
    r#"https://storage.googleapis.com/b/o?X-Goog-Signature=«aeeed9bbccd4d02e»&X-Goog-Date=1"#,
    r#"https://d111.cloudfront.net/x?Expires=1&Signature=«abc~def__»&Key-Pair-Id=K2"#,
    r#"https://x.example/cb?code=«4/0AX4XfWh»&state=xyz"#,
    r#"https://api.example/v1?api_key=«hunter2x»&q=1"#,
    r#"https://api.example/v1?key=«AIzaSyA1234567890abcdefghijklmnopqrstu»"#,
    r#"wss://x.example/realtime?apikey=«eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.abcdefghijklmnop»&vsn=1"#,
    r#""«-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----»\n""#,
    r#"PRIVATE_KEY="«-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n»""#,
    r#"Authorization: «PVEAPIToken=root@pam!ci=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee»"#,
    r#"PVEAPIToken=«root@pam!ci=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee»"#,
    r#"PVEAuthCookie=«PVE:root@pam:6553F100::abcdef»"#,
    r#"X-API-Key: «plane_api_0123456789abcdef0123456789abcdef»"#,
    r#"plane says «plane_api_0123456789abcdef0123456789abcdef» is wrong"#,
    r#"glsa token «glsa_abcdefghijklmnopqrstuvwxyzABCDEF_0123abcd» expired"#,
    r#"grafana «glc_eyJvIjoiMTIzNDU2IiwibiI6ImEiLCJrIjoiYWJjZGVmIn0=»"#,
    r#"SUPABASE_KEY=«sb_secret_abcdefghij_0123456789»"#,
    r#"using «sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz» for admin"#,
    r#"SUPABASE_SERVICE_ROLE_KEY=«eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.M2d2z4SFn5C7HlJlaSLfrzuYim9nbY_XI40uWFN3hEE»"#,
    r#"access token «sbp_0102030405060708091011121314151617181920»"#,
    r#"Bearer «12|abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH»"#,
    r#"COOLIFY_TOKEN=«3|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcd»"#,
    r#"https://«abcdef0123456789:»@api.example/x"#,
    r#"git clone https://oauth2:«glpat-abcdefghij0123456789»@gitlab.example/a/b.git"#,
    r#"git push https://x-access-token:«ghs_abcdefghij0123456789»@github.com/a/b"#,
    r#"remote: https://rina:«hunter2»@git.example/a.git/ not found"#,
    r#"gitlab «glpat-abcdefghij0123456789» and «github_pat_11ABCDEFG0abcdefghij_klmnop»"#,
    r#"slack «xoxb-1234567890-abcdefghij» and «xapp-1-A1234-5678-abcdef»"#,
    r#"POST https://hooks.slack.com/services/«T0/B0/abcdefghij» and https://discord.com/api/webhooks/«1/abc-def»"#,
    r#"discord bot «MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.abcdefghijklmnopqrstuvwxyz0123456789ab»"#,
    r#"https://api.telegram.org/bot«123456789:AAH7dT2mXw9rB4AAH7dT2mXw9rB4xxx»/getMe"#,
    r#"token «123456789:AAH7dT2mXw9rB4AAH7dT2mXw9rB4xxx»"#,
    r#"stripe «sk_live_abcdefghij0123456789» «whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw»"#,
    r#"openai «sk-proj-abcdefghij0123456789» anthropic «sk-ant-api03-abcdefghij0123»"#,
    r#""vault":"«hvs.CAESIabcdefghij0123456789»""#,
    r#"doppler «dp.pt.abcdefghij0123456789»"#,
    r#"sentry «sntrys_eyJpYXQiOjE2fQ==_abcdef»"#,
    r#"dsn https://«0123456789abcdef0123456789abcdef»@o1.ingest.sentry.io/1"#,
    r#"twilio «SK0123456789abcdef0123456789abcdef»"#,
    r#"sendgrid «SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG»"#,
    r#"pypi «pypi-AgEIcHlwaS5vcmcCJGFiY2RlZmdo»"#,
    r#"dockerhub «dckr_pat_abcdefghij0123»"#,
    r#"cloudflare CF_API_TOKEN=«abcdefghijklmnopqrstuvwxyz0123456789ABCD»"#,
    r#"X-Auth-Key: «0123456789abcdef0123456789abcdef01234»"#,
    r#"fastly Fastly-Key: «abcdefghij0123456789ABCDEFGHIJ01»"#,
    r#"AccessKey: «abcdef01-2345-6789-abcd-ef0123456789abcd-ef01»"#,
    r#"ntfy «tk_abcdefghijklmnopqrstuvwxyz012»"#,
    r#"age «AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ»"#,
    r#"ERROR 1045: password=«hunter2», user=shop"#,
    r#"ALTER ROLE shop WITH PASSWORD '«hunter2»';"#,
    r#"CREATE USER x IDENTIFIED BY '«hunter2»';"#,
    r#"pg_dump: error: connection to "postgres://u:«pw'with"quotes»@db/x" failed"#,
    r#"django.db.utils: ('postgres://u:«pw»@db/x', 5)"#,
    r#"panic: dial redis://:«s3»@cache:6379: timeout"#,
    r#"spring.datasource.password=«hunter2»"#,
    r#""spring.datasource.password": "«hunter2»""#,
    r#"<password>«hunter2»</password>"#,
    r#"<add name="x" connectionString="Server=db;Password=«hunter2»;" />"#,
    r#"--build-arg NPM_TOKEN=«abc123def456»"#,
    r#"--set auth.password=«hunter2»"#,
    r#"--set-string secrets.apiToken=«hunter2x»"#,
    r#"ENV SECRET_KEY_BASE «0123456789abcdef0123456789abcdef»"#,
    r#"ARG NPM_TOKEN=«abc123»"#,
    r#"rina:«$2y$05$abcdefghijklmnopqrstuuvwxyz0123456789ABCDEFGHIJKLMNOPQ»"#,
    r#"rina:«$6$saltsalt$abcdefghijklmnopqrstuvwxyz0123456789»:19000:0:99999:7:::"#,
    r#"p_webhook=https://chat.googleapis.com/v1/spaces/«AAA/messages?key=k&token=t»"#,
    r#"«-----BEGIN PGP PRIVATE KEY BLOCK-----⏎abc⏎-----END PGP PRIVATE KEY BLOCK-----»"#,
];

/// What looks like the above and holds no secret.
const HARMLESS: &[&str] = &[
    "docker run -p 8080:80 nginx && ssh -p 2222 host",
    "mysql -u root -h db -P 3306 shop; mkdir -p /var/lib/mysql; mysql: command not found",
    "postgres://db:5432/shop and mail to ops@shop.example",
    "redis://cache:6379 is ready, says root@host",
    "http://localhost:3000/a and bob@shop.example",
    "see https://docs.example/auth: ask rina@shop.example",
    "listening on tcp://0.0.0.0:2375 (user@1000.service)",
    "git@github.com:acme/shop.git and git+ssh://git@github.com/acme/shop.git#v1",
    "machine is up⏎password is asked for",
    "Password: ⏎password incorrect",
    "name: build⏎value: 12",
    "{\"name\":\"NODE_ENV\",\"value\":\"production\"}",
    "{\"key\":\"token_count\",\"value\":\"1234567\"}",
    "auth: required, auth=true, \"auth\": \"none\", auth: \"basic\"",
    "pwd: /home/shop/app, PWD=/home/shop OLDPWD=/tmp pwd=./x",
    "GET /callback?code=200&sig=none&key=name 200",
    "sort?key=created_at&code=E11000",
    "<password></password> <token>$TOKEN</token> <name>hunter2</name>",
    "echo \"$2a is the second\" $1 $5 and $6.00",
    "ENV NODE_ENV production⏎ENV PATH /usr/local/bin⏎ARG VERSION",
    "set -x; set -e; setenv HOME /root",
    "::group::Run tests⏎::endgroup::⏎::warning file=a.js,line=1::unused token",
    "zip -P is for passwords; unzip -l x.zip",
    "curl -u needs a name, curl -fsSL https://x.example/a:b",
    "SKIPPED SK0123 SKU-0123456789abcdef0123456789abcdef-x",
    "az login -p is asked for; redis-cli -a; mongosh -p",
    "value=12 name=x key: value, \"Value\": 3",
    "time::signature a::b PVE: pve-manager/8.2.4/faa83925c9641325 (running kernel: 6.8.8-2-pve)",
    "at /app/node_modules/@aws-sdk/middleware:12 user@host:~$ ls",
    "-----BEGIN CERTIFICATE-----⏎2VDmxe/djJBW1Q786NYola2IZEAOdoH8zn1GJ98uijRHwvgXTQkAlY1Rn25Km/YQ⏎-----END CERTIFICATE-----",
    "npm notice integrity: sha512-2JAn3z8AR6rjK8Sm8orRC0h[...]mBHyXuKL849euc==",
];

/// The text, and how it must be shown.
fn read(probe: &str) -> (String, String) {
    let probe = probe.replace('⏎', "\n");
    let mut parts = probe.split('«');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (secret, rest) = part.split_once('»').expect("an end");
        shown.push_str(&secret.split('\n').map(|_| "[redacted]").collect::<Vec<_>>().join("\n"));
        shown.push_str(rest);
    }
    (probe.replace(['«', '»'], ""), shown)
}

#[test]
fn every_probe_is_masked_where_it_must_be_and_nowhere_else() {
    let wrong = PROBES.iter().filter_map(|probe| {
        let (text, expected) = read(probe);
        let shown = scrub(&text);
        (shown != expected).then(|| format!("{probe}\n    is shown as {shown}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), PROBES.len(), wrong.join("\n"));
}

#[test]
fn what_only_looks_like_it_stays() {
    for probe in HARMLESS {
        let text = probe.replace('⏎', "\n");
        assert_eq!(scrub(&text), text);
    }
}

/// Secrets do not stand alone: beside each other, in a log's line, in JSON and behind a time they are masked as well.
#[test]
fn every_probe_is_masked_among_other_text() {
    for probe in PROBES {
        let (text, _) = read(probe);
        let secrets: Vec<&str> =
            probe.split('«').skip(1).filter_map(|p| p.split_once('»')).map(|(secret, _)| secret).collect();
        let lines =
            format!("2026-11-24T12:00:00Z the build begins\n{text}\n2026-11-24T12:00:01Z the build ends");
        let shown = scrub(&lines);
        for secret in
            secrets.iter().flat_map(|s| s.split('⏎')).filter(|s| s.len() >= 6 && !s.starts_with("-----"))
        {
            assert!(!shown.contains(secret), "{probe} is shown as {shown}");
        }
        assert!(shown.starts_with("2026-11-24T12:00:00Z the build begins\n"), "{shown}");
        assert!(shown.ends_with("\n2026-11-24T12:00:01Z the build ends"), "{shown}");
    }
}

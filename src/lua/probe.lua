-- Do what the steps do on keys of our own, to learn whether this server and this user may. It goes on
-- after a command that is refused, so that the answer names all that are.
-- KEYS the fence, a queue   ARGV our process
-- returns 1 | an error: the commands that are refused, or else the first that failed
local fence, queue, process = KEYS[1], KEYS[2], ARGV[1]
local refused, failed

local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  local says = function(text) return string.find(reply.err, text, 1, true) end
  if refused then
    refused = refused .. ', ' .. command
  elseif says('Unknown') then
    refused = 'ERR unknown command: ' .. command
  elseif says("can't run this command") or says('no permissions to run') then
    refused = 'NOPERM no permission to run ' .. command
  else
    -- Redis before 7 says where in the script it was.
    local text = string.gsub(reply.err, '^@user_script: %d+: %-?', '')
    failed = failed or string.find(text, '^%u+ ') and text or 'ERR ' .. text
  end
end

try('TIME')
try('GET', fence)
try('EXISTS', fence, queue)
try('PEXPIRE', queue, 1000)
try('DEL', queue)
-- What is written from here on goes again.
if not refused and not failed then
  try('ZADD', queue, 1, process)
  try('PEXPIRE', queue, 1000)
  try('ZSCORE', queue, process)
  try('ZRANGEBYSCORE', queue, 0, '+inf', 'LIMIT', 0, 1)
  try('ZREMRANGEBYSCORE', queue, '(0', '(1')
  try('ZREM', queue, process)
  try('DEL', queue)
  try('HMGET', queue, 'id')
  try('HSET', queue, 'id', 1, 'owner', 1)
  try('HGET', queue, 'id')
  try('HGETALL', queue)
  try('HLEN', queue)
  try('HDEL', queue, 'id')
  try('PTTL', queue)
  try('DEL', queue)
  try('SET', fence, try('GET', fence) or 0, 'PX', 7776000000)
  try('PUBLISH', 'dist-lock:process:' .. process, '')
end
refused = refused or failed
return refused and { err = refused } or 1

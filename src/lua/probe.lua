-- Do what the steps do on keys of our own, to learn whether this server and this user may.
-- KEYS the fence, a queue   ARGV our process
-- returns 1 | the error of the command that was refused
local fence, queue, process = KEYS[1], KEYS[2], ARGV[1]
redis.call('TIME')
redis.call('GET', fence)
redis.call('EXISTS', fence, queue)
redis.call('ZADD', queue, 1, process)
redis.call('PEXPIRE', queue, 1000)
redis.call('ZSCORE', queue, process)
redis.call('ZRANGEBYSCORE', queue, 0, '+inf', 'LIMIT', 0, 1)
redis.call('ZREMRANGEBYSCORE', queue, '(0', '(1')
redis.call('ZREM', queue, process)
redis.call('HMGET', queue, 'id')
redis.call('HSET', queue, 'id', 1, 'owner', 1)
redis.call('PTTL', queue)
redis.call('DEL', queue)
redis.call('SET', fence, redis.call('GET', fence) or 0, 'PX', 7776000000)
redis.call('PUBLISH', 'dist-lock:process:' .. process, '')
return 1

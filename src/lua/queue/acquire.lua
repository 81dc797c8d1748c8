-- The lock is taken, or there is a queue before it, or it is to be shared. If we hold it already, renew it
-- (a repeated call, a lost reply or message); otherwise join the queue, if we wait.
-- returns the token: ours | 0 taken | what we wait for: see view, and if we are in the queue our ticket
function steps.acquire(lock, queue, id, owner, terms, waits)
  local ttl, asked = parse(terms)
  local kind, holder, token, queued, capacity = look(lock)
  if holder == id then
    renew(lock, ttl)
    return token or next_number()
  end
  local room, ticket
  if capacity then
    local share = share_of(lock, id)
    if share then
      local over, its = read_share(share)
      if now() + ttl > tonumber(over) then write_share(lock, id, owner, ttl, its) end
      return its
    end
    if asked then must_agree(asked, capacity) end
    room = asked and has_room(lock, queued, capacity)
    if room and not first(queue, 0) then
      token = next_number()
      add_share(lock, id, owner, ttl, token)
      return token
    end
  end
  if kind == FREE and asked and call('EXISTS', queue) == 0 then
    token = next_number()
    open_shares(lock, id, owner, ttl, token, asked)
    return token
  end
  -- Those before us may be dead.
  if not waits and kind ~= FREE and not room then return 0 end
  if waits then
    if asked and asked > 0 then
      local permits = note(queue, 'permits')
      if permits > 0 then must_agree(asked, permits) end
      call('ZADD', queue, -asked, 'permits')
    end
    local waiter = member(id, owner, terms)
    ticket = next_number()
    -- Who waits already keeps its place.
    if call('ZADD', queue, 'NX', ticket, waiter) == 0 then ticket = call('ZSCORE', queue, waiter) end
    keep(queue)
    if kind == OURS and not queued then
      queued = 1
      call('HSET', lock, 'queued', queued)
    end
    if kind == FOREIGN then met_version_2(queue, DELAY) end
  end
  local alone = kind == OURS and not capacity
  local left
  kind, left = mend(lock, queue, id, kind, queued, capacity)
  if kind == FREE and not waits then
    if not asked then return take(lock, id, owner, ttl) end
    token = next_number()
    open_shares(lock, id, owner, ttl, token, asked)
    return token
  end
  local seen = view(lock, id, kind, left, alone and holder, token)
  if seen[3] == id then return seen[4] end
  if not waits and room and not first(queue, 0) and has_room(lock, queued, capacity) then
    token = next_number()
    add_share(lock, id, owner, ttl, token)
    return token
  end
  if ticket then seen[6] = ticket end
  return seen
end

export default () => <p>fresh</p>
